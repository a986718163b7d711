import { expect, it } from 'vitest';
import { mirror } from '../../../functions/kernels/mirror.ts';
import type { Pixels } from '../../../runtime/filter.ts';
import { noise } from '../../support/samples.ts';

const SHAPES = ([1, 2, 3, 4] as const).flatMap((channels) =>
  ([8, 16] as const).map((bits) => ({ channels, bits })),
);

it.each(SHAPES)('moves every pixel to its place, $channels channels of $bits bits', (shape) => {
  for (const size of [
    { width: 1, height: 1 },
    { width: 37, height: 19 },
    { width: 4101, height: 3 },
  ]) {
    const image = noise({ ...size, ...shape });
    for (const [across, down] of [
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      expect(mirror(image, across, down)).toEqual(plainMirror(image, across, down));
    }
  }
});

function plainMirror(pixels: Pixels, across: boolean, down: boolean): Pixels {
  const { data, width, height, channels } = pixels;
  const out = data.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = ((down ? height - 1 - y : y) * width + (across ? width - 1 - x : x)) * channels;
      out.set(data.subarray(from, from + channels), (y * width + x) * channels);
    }
  }
  return { ...pixels, data: out };
}
