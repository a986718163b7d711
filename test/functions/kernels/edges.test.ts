import { describe, expect, it } from 'vitest';
import { canny } from '../../../functions/kernels/canny.ts';
import { laplacian, sobel } from '../../../functions/kernels/gradients.ts';
import { plainCanny, plainGradients } from '../../support/plain-kernels.ts';
import { noise, type Shape, texture } from '../../support/samples.ts';

/** From one pixel to more than a tile each way. */
const SIZES = [
  { width: 1, height: 1 },
  { width: 2, height: 300 },
  { width: 9000, height: 3 },
  { width: 4211, height: 71 },
];

describe.each(SIZES)('of $width × $height pixels', (size) => {
  it.each([true, false])('canny is what its definition gives, L2 %s', (l2) => {
    for (const image of [noise({ ...size, channels: 1 }), texture({ ...size, channels: 1 })]) {
      for (const [low, high] of [
        [20, 60],
        [100, 200],
        [0, 0],
        [700, 900],
      ] as const) {
        expect(canny(image, { low, high, l2 }).data).toEqual(plainCanny(image, low, high, l2));
      }
    }
  });

  it.each([true, false])('canny of colour takes the strongest channel, L2 %s', (l2) => {
    const image = texture({ ...size, channels: 3 });
    expect(canny(image, { low: 60, high: 150, l2, color: true }).data).toEqual(
      plainCanny(image, 60, 150, l2),
    );
  });

  it.each([8, 16] as const)('sobel and laplacian are what their definitions give at %d bits', (bits) => {
    const image = noise({ ...size, channels: 1, bits });
    const max = bits === 8 ? 255 : 65535;
    const { gx, gy } = plainGradients(image);
    const clipped = (value: (x: number, y: number) => number) =>
      Array.from(gx, (x, i) => Math.min(max, Math.round(value(x, gy[i]!))));

    expect(Array.from(sobel(image).data)).toEqual(clipped(Math.hypot));
    expect(Array.from(sobel(image, 'x').data)).toEqual(clipped(Math.abs));
    expect(Array.from(sobel(image, 'y').data)).toEqual(clipped((_x, y) => Math.abs(y)));
    expect(Array.from(laplacian(image).data)).toEqual(plainLaplacian(image.data, size, max));
  });
});

it('finds no edges among hidden colours', () => {
  const image = noise({ width: 50, height: 40, channels: 4 });
  const hidden = { ...image, data: image.data.map((sample, i) => (i % 4 === 3 ? 0 : sample)) };

  expect(canny(hidden, { low: 10, high: 20 }).data.some((sample) => sample > 0)).toBe(false);
  expect(sobel(hidden).data.some((sample) => sample > 0)).toBe(false);
});

it('takes thresholds in either order, as OpenCV does', () => {
  const image = texture({ width: 120, height: 90, channels: 1 });

  expect(canny(image, { low: 150, high: 60 })).toEqual(canny(image, { low: 60, high: 150 }));
});

it('gives one channel of the depth it documents', () => {
  const deep: Shape = { width: 30, height: 20, channels: 4, bits: 16 };

  expect(canny(noise(deep), { low: 50, high: 100 })).toMatchObject({
    channels: 1,
    data: expect.any(Uint8Array),
  });
  expect(sobel(noise(deep))).toMatchObject({ channels: 1, data: expect.any(Uint16Array) });
});

function plainLaplacian(
  data: ArrayLike<number>,
  { width, height }: { width: number; height: number },
  max: number,
): number[] {
  const at = (x: number, y: number) =>
    data[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))]!;
  return Array.from(data, (centre, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    const ring = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1);
    return Math.min(max, Math.abs(ring - 4 * centre));
  });
}
