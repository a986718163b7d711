/** The unsharp mask, bit for bit as Pillow's UnsharpMask.c given the same blurred image. */
import type { Pixels } from '../../filter.ts';
import { emptyLike } from './grayscale.ts';

/**
 * Adds `percent` % of each sample's difference from `blurred` (truncated, clipped) where that difference is
 * greater than `threshold` levels (8-bit levels; times 257 at 16 bits). Alpha is kept.
 */
export function unsharp(pixels: Pixels, blurred: Pixels, percent: number, threshold: number): Pixels {
  const { data, channels } = pixels;
  const max = data instanceof Uint8Array ? 255 : 65535;
  const least = max === 255 ? threshold : threshold * 257;
  const alphaAt = channels % 2 === 0 ? channels - 1 : -1;
  const out = emptyLike(data, data.length);
  for (let i = 0; i < data.length; i++) {
    const sample = data[i]!;
    const difference = sample - blurred.data[i]!;
    const change =
      Math.abs(difference) > least && i % channels !== alphaAt ? Math.trunc((difference * percent) / 100) : 0;
    out[i] = Math.min(max, Math.max(0, sample + change));
  }
  return { ...pixels, data: out };
}
