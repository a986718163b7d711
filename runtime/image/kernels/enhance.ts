/** Brightness, contrast, saturation and sharpness, bit for bit as Pillow's ImageEnhance at 8 bits. */
import type { Pixels } from '../../filter.ts';
import { emptyLike, luma } from './grayscale.ts';

/** Multiplies every colour sample by `factor` (0 or more; 1 changes nothing), truncated and clipped; alpha is kept. */
export function brightness(pixels: Pixels, factor: number): Pixels {
  return blend(pixels, factor, () => 0);
}

/** Moves colours away from (`factor` > 1) or towards (< 1) the image's mean luma; alpha is kept. */
export function contrast(pixels: Pixels, factor: number): Pixels {
  const { data, channels, width, height } = pixels;
  let sum = 0;
  for (let i = 0; i < data.length; i += channels) sum += lumaAt(data, i, channels);
  const mean = Math.floor(sum / (width * height) + 0.5);
  return blend(pixels, factor, () => mean);
}

/** Moves colours away from (`factor` > 1) or towards (< 1) each pixel's luma; 0 is grey; alpha is kept. */
export function saturation(pixels: Pixels, factor: number): Pixels {
  const { data, channels } = pixels;
  return blend(pixels, factor, (i) => lumaAt(data, i - (i % channels), channels));
}

/** Moves colours away from (`factor` > 1) or towards (< 1) a slightly smoothed image; alpha is kept. */
export function sharpness(pixels: Pixels, factor: number): Pixels {
  const { data, channels, width, height } = pixels;
  const row = width * channels;
  return blend(pixels, factor, (i) => {
    const x = Math.floor((i % row) / channels);
    const y = Math.floor(i / row);
    if (x === 0 || y === 0 || x === width - 1 || y === height - 1) return data[i]!;
    let sum = 4 * data[i]!;
    for (let dy = -row; dy <= row; dy += row) {
      for (let dx = -channels; dx <= channels; dx += channels) sum += data[i + dx + dy]!;
    }
    return Math.floor((2 * sum + 13) / 26);
  });
}

function lumaAt(data: Pixels['data'], i: number, channels: number): number {
  return channels < 3 ? data[i]! : luma(data[i]!, data[i + 1]!, data[i + 2]!);
}

/** Pillow's Blend.c: `base + factor × (sample − base)` in single precision, truncated and clipped. */
function blend(pixels: Pixels, factor: number, base: (index: number) => number): Pixels {
  const { data, channels } = pixels;
  const max = data instanceof Uint8Array ? 255 : 65535;
  const alphaAt = channels % 2 === 0 ? channels - 1 : -1;
  const single = Math.fround(factor);
  const out = emptyLike(data, data.length);
  for (let i = 0; i < data.length; i++) {
    const from = i % channels === alphaAt ? data[i]! : base(i);
    const value = Math.fround(from + Math.fround(single * (data[i]! - from)));
    out[i] = Math.min(max, Math.max(0, value));
  }
  return { ...pixels, data: out };
}
