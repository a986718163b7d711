import { expect, it } from 'vitest';
import { rotate } from '../../../functions/kernels/rotate.ts';
import type { Pixels } from '../../../runtime/filter.ts';
import { noise } from '../../support/samples.ts';

const ANGLES = [10, -45, 100, 179.5, 0.001, 271];
const SIZES = [
  { width: 1, height: 1 },
  { width: 1, height: 300 },
  { width: 150, height: 2 },
  { width: 331, height: 203 },
];
const BACKDROP = 90;

it.each([1, 3] as const)('mixes four neighbours, to a level: %d channels', (channels) => {
  for (const size of SIZES) {
    for (const angle of ANGLES) {
      const image = noise({ ...size, channels });
      const out = rotate(image, angle, { r: BACKDROP, g: BACKDROP, b: BACKDROP, alpha: 1 });
      expect(worst(image, out, angle)).toBeLessThanOrEqual(1);
    }
  }
});

it('gives the same samples with and without an alpha that hides nothing', () => {
  const image = noise({ width: 200, height: 160, channels: 3 });
  const opaque: Pixels = {
    ...image,
    channels: 4,
    data: Uint8Array.from({ length: 200 * 160 * 4 }, (_, i) =>
      i % 4 === 3 ? 255 : image.data[Math.floor(i / 4) * 3 + (i % 4)]!,
    ),
  };
  const backdrop = { r: 10, g: 200, b: 30, alpha: 1 };

  const colour = rotate(image, 30, backdrop);
  const withAlpha = rotate(opaque, 30, backdrop);

  const differences = withAlpha.data
    .filter((_, i) => i % 4 !== 3)
    .filter((level, i) => Math.abs(level - colour.data[i]!) > 1);
  expect(differences).toHaveLength(0);
  expect(withAlpha.data.every((level, i) => i % 4 !== 3 || level === 255)).toBe(true);
});

/** The largest difference from the definition, levels. */
function worst(source: Pixels, out: Pixels, angle: number): number {
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  let largest = 0;
  for (let i = 0; i < out.data.length; i++) {
    const pixel = Math.floor(i / out.channels);
    const dx = (pixel % out.width) - (out.width - 1) / 2;
    const dy = Math.floor(pixel / out.width) - (out.height - 1) / 2;
    const x = (source.width - 1) / 2 + cos * dx + sin * dy;
    const y = (source.height - 1) / 2 - sin * dx + cos * dy;
    largest = Math.max(largest, Math.abs(out.data[i]! - bilinear(source, x, y, i % out.channels)));
  }
  return largest;
}

function bilinear(source: Pixels, x: number, y: number, channel: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const sample = (x: number, y: number) =>
    x < 0 || y < 0 || x >= source.width || y >= source.height
      ? BACKDROP
      : source.data[(y * source.width + x) * source.channels + channel]!;
  const upper = sample(left, top) * (left + 1 - x) + sample(left + 1, top) * (x - left);
  const lower = sample(left, top + 1) * (left + 1 - x) + sample(left + 1, top + 1) * (x - left);
  return upper * (top + 1 - y) + lower * (y - top);
}
