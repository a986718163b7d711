import { describe, expect, it } from 'vitest';
import { gaussianBlur } from '../../../functions/kernels/gaussian-blur.ts';
import { kernels } from '../../../functions/kernels/module.ts';
import type { Pixels } from '../../../runtime/filter.ts';
import { plainGaussian } from '../../support/plain-kernels.ts';
import { imageBy, noise, type SampleAt, type Shape } from '../../support/samples.ts';

const PATTERNS: Record<string, SampleAt> = {
  'a corner': (x, y) => (x >= 37 !== y >= 41 ? 1 : 0),
  'a checkerboard': (x, y) => (x + y) & 1,
  'stripes of three pixels': (x) => (x % 3 === 0 ? 1 : 0),
  'waves of every length': (x, y) => 0.5 + 0.5 * Math.sin((x * x) / 60 + (y * y) / 47),
  'a single point': (x, y) => (x === 40 && y === 30 ? 1 : 0),
};
/** On both sides of every change of method: direct, shrunk by 2, by 3 … 8, and shrunk twice. */
const SIGMAS = [0.3, 1, 2, 5.9, 6.1, 7.6, 20, 21, 55, 1000];
/** Rounding alone takes half a level; the method may take a tenth. */
const ALLOWED_LEVELS = 0.6;

describe.each(Object.entries(PATTERNS))('of %s', (_name, pattern) => {
  it.each(SIGMAS)('is the exact Gaussian of σ %d', (sigma) => {
    for (const channels of [1, 3] as const) {
      for (const bits of [8, 16] as const) {
        const image = imageBy({ width: 97, height: 83, channels, bits }, pattern);
        expect(error(image, sigma)).toBeLessThan(ALLOWED_LEVELS);
      }
    }
  });
});

const SHAPES: Shape[] = [
  { width: 1, height: 1, channels: 3 },
  { width: 1, height: 400, channels: 1 },
  { width: 3000, height: 2, channels: 3 },
  { width: 700, height: 150, channels: 4 },
  { width: 801, height: 131, channels: 2, bits: 16 },
];

it.each(SHAPES)('has no seams where tiles meet: $width × $height × $channels', (shape) => {
  for (const sigma of [3, 13]) {
    const image = noise(shape);
    expect(visibleError(image, sigma)).toBeLessThan(ALLOWED_LEVELS);
  }
});

it.each([0.5, 2, 6, 8, 40])('leaves every plain level as it is: σ %d', (sigma) => {
  for (let level = 0; level < 256; level += 5) {
    const image = imageBy({ width: 40, height: 30, channels: 3 }, () => level / 255);
    expect(gaussianBlur(image, sigma).data).toEqual(image.data);
  }
});

it.each([2, 12])('lets no hidden colour show: σ %d', (sigma) => {
  const hidden: SampleAt = (x, _y, channel) => (x < 30 ? [0, 0, 1, 1][channel]! : [1, 0, 0, 0][channel]!);
  const image = imageBy({ width: 60, height: 40, channels: 4 }, hidden);

  const { data } = gaussianBlur(image, sigma);

  for (let i = 0; i < data.length; i += 4) expect([data[i], data[i + 1]]).toEqual([0, 0]);
  const edge = data.slice(20 * 240 + 30 * 4, 20 * 240 + 30 * 4 + 4);
  expect(edge[2]).toBe(255);
  expect(edge[3]).toBeGreaterThan(100);
});

it('changes nothing at σ 0, and never its input', () => {
  const image = noise({ width: 30, height: 20, channels: 3 });
  const before = image.data.slice();

  expect(gaussianBlur(image, 0)).toBe(image);
  gaussianBlur(image, 4);
  gaussianBlur(image, 40);

  expect(image.data).toEqual(before);
});

it('works in four mebibytes whatever the size', () => {
  gaussianBlur(noise({ width: 4000, height: 500, channels: 4 }), 9);

  expect(kernels().heap.length).toBe(4 * 1024 * 1024);
});

/** The largest difference from the exact Gaussian, in levels of 255. */
function error(image: Pixels, sigma: number): number {
  const exact = plainGaussian(image, sigma);
  const { data } = gaussianBlur(image, sigma);
  let worst = 0;
  for (let i = 0; i < data.length; i++) worst = Math.max(worst, Math.abs(data[i]! - exact[i]!));
  return data instanceof Uint8Array ? worst : worst / 257;
}

/** The same with colours as they show, multiplied by alpha. */
function visibleError(image: Pixels, sigma: number): number {
  const { channels } = image;
  if (channels % 2 === 1) return error(image, sigma);
  const exact = plainGaussian(image, sigma);
  const { data } = gaussianBlur(image, sigma);
  const max = data instanceof Uint8Array ? 255 : 65535;
  const shown = (values: ArrayLike<number>, i: number) =>
    i % channels < channels - 1
      ? (values[i]! * values[i - (i % channels) + channels - 1]!) / max
      : values[i]!;
  let worst = 0;
  for (let i = 0; i < data.length; i++) worst = Math.max(worst, Math.abs(shown(data, i) - shown(exact, i)));
  // Colour and alpha are both rounded.
  return worst / (max / 255) / 2;
}
