import { describe, expect, it } from 'vitest';
import { brightness, contrast, saturation } from '../../../functions/kernels/enhance.ts';
import { grayscale, luma, PILLOW_LUMA } from '../../../functions/kernels/grayscale.ts';
import { sharpness } from '../../../functions/kernels/sharpness.ts';
import { unsharp } from '../../../functions/kernels/unsharp.ts';
import type { Pixels } from '../../../runtime/filter.ts';
import { noise } from '../../support/samples.ts';

const FACTORS = [0, 0.3, 0.77, 1, 1.3, 2.5, 40];
/** Wider and higher than a tile, longer than a run. */
const SIZE = { width: 4211, height: 37 };
const DEPTHS = [8, 16] as const;
const CHANNELS = [1, 2, 3, 4] as const;

describe.each(DEPTHS)('at %d bits', (bits) => {
  describe.each(CHANNELS)('with %d channels', (channels) => {
    const image = noise({ ...SIZE, channels, bits });

    it.each(FACTORS)('blends with black, mean, luma and mean of neighbours by %d', (factor) => {
      const mean = Math.floor(
        lumas(image).reduce((sum, grey) => sum + grey, 0) / (SIZE.width * SIZE.height) + 0.5,
      );

      expect(brightness(image, factor).data).toEqual(blended(image, factor, () => 0));
      expect(contrast(image, factor).data).toEqual(blended(image, factor, () => mean));
      expect(saturation(image, factor).data).toEqual(blended(image, factor, (i) => lumaAt(image, i)));
      expect(sharpness(image, factor).data).toEqual(blended(image, factor, (i) => smoothAt(image, i)));
    });

    it('sharpens what differs from its blur by more than the threshold', () => {
      const blurred = noise({ ...SIZE, channels, bits }, 2);
      const [percent, threshold] = [130, 20];

      const { data } = unsharp(image, blurred, percent, threshold);

      const max = bits === 8 ? 255 : 65535;
      const expected = image.data.map((sample, i) => {
        const difference = sample - blurred.data[i]!;
        if (isAlpha(image, i) || Math.abs(difference) <= (threshold * max) / 255) return sample;
        return Math.min(max, Math.max(0, sample + Math.trunc((difference * percent) / 100)));
      });
      expect(data).toEqual(expected);
    });

    it('takes luma and keeps alpha', () => {
      const grey = grayscale(image);

      expect(grey.channels).toBe(channels < 3 ? channels : channels - 2);
      const step = grey.channels;
      expect(Array.from(grey.data.filter((_, i) => i % step === 0))).toEqual(lumas(image));
      if (channels === 4) expect(grey.data[5]).toBe(image.data[11]);
    });
  });
});

it('leaves images too small to have neighbours as they are', () => {
  for (const size of [
    { width: 1, height: 1 },
    { width: 2, height: 9 },
    { width: 9, height: 2 },
  ]) {
    const image = noise({ ...size, channels: 3 });
    expect(sharpness(image, 3).data).toEqual(image.data);
  }
});

function isAlpha({ channels }: Pixels, i: number): boolean {
  return channels % 2 === 0 && i % channels === channels - 1;
}

function lumaAt({ data, channels }: Pixels, i: number): number {
  const first = i - (i % channels);
  return channels < 3 ? data[first]! : luma(data[first]!, data[first + 1]!, data[first + 2]!, PILLOW_LUMA);
}

function lumas(image: Pixels): number[] {
  return Array.from({ length: SIZE.width * SIZE.height }, (_, pixel) =>
    lumaAt(image, pixel * image.channels),
  );
}

/** Pillow's SMOOTH; the border as it is. */
function smoothAt({ data, width, height, channels }: Pixels, i: number): number {
  const row = width * channels;
  const [x, y] = [Math.floor((i % row) / channels), Math.floor(i / row)];
  if (x === 0 || y === 0 || x === width - 1 || y === height - 1) return data[i]!;
  let sum = 4 * data[i]!;
  for (const dy of [-row, 0, row]) for (const dx of [-channels, 0, channels]) sum += data[i + dy + dx]!;
  return Math.floor((2 * sum + 13) / 26);
}

function blended(image: Pixels, factor: number, base: (i: number) => number): Pixels['data'] {
  const max = image.data instanceof Uint8Array ? 255 : 65535;
  const single = Math.fround(factor);
  return image.data.map((sample, i) => {
    if (isAlpha(image, i)) return sample;
    const value = Math.fround(base(i) + Math.fround(single * (sample - base(i))));
    return Math.min(max, Math.max(0, Math.trunc(value)));
  });
}
