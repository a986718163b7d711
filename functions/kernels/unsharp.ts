/** The unsharp mask, bit for bit as Pillow's UnsharpMask.c given the same blurred image. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike, freeSamples } from '../../runtime/image/sample-memory.ts';
import { gaussianBlur } from './gaussian-blur.ts';
import { kernels } from './module.ts';
import { keepAlpha } from './samples.ts';

export interface UnsharpMask {
  /** Standard deviation of the blur, pixels. */
  radius: number;
  /** Strength, percent. */
  amount: number;
  /** Least difference that is sharpened, 8-bit levels. */
  threshold: number;
}

/** Pillow's UnsharpMask(radius, amount, threshold), over our own Gaussian. */
export function unsharpMask(pixels: Pixels, { radius, amount, threshold }: UnsharpMask): Pixels {
  const blurred = gaussianBlur(pixels, radius);
  const sharpened = unsharp(pixels, blurred, amount, threshold);
  if (blurred !== pixels) freeSamples(blurred);
  return sharpened;
}

/**
 * Adds `percent` % of each sample's difference from `blurred` (truncated, clipped) where that difference is
 * greater than `threshold` levels (8-bit levels; times 257 at 16 bits). Alpha is kept.
 */
export function unsharp(pixels: Pixels, blurred: Pixels, percent: number, threshold: number): Pixels {
  const { data } = pixels;
  const out =
    data instanceof Uint8Array
      ? unsharpBytes(data, blurred.data as Uint8Array, percent, threshold)
      : unsharpWords(data, blurred.data as Uint16Array, percent, threshold * 257);
  keepAlpha(pixels, out);
  return { ...pixels, data: out };
}

const RUN_BYTES = 65536;

function unsharpBytes(data: Uint8Array, blurred: Uint8Array, percent: number, threshold: number): Uint8Array {
  const { heap, place, run } = kernels();
  const [source, other] = place(RUN_BYTES, RUN_BYTES);
  const out = allocateLike(data, data.length) as Uint8Array;
  for (let first = 0; first < data.length; first += RUN_BYTES) {
    const bytes = data.subarray(first, first + RUN_BYTES);
    heap.set(bytes, source);
    heap.set(blurred.subarray(first, first + RUN_BYTES), other);
    run.unsharp(source, other, bytes.length, percent, threshold, source);
    out.set(heap.subarray(source, source + bytes.length), first);
  }
  return out;
}

function unsharpWords(
  data: Uint16Array,
  blurred: Uint16Array,
  percent: number,
  threshold: number,
): Uint16Array {
  return data.map((sample, i) => {
    const difference = sample - blurred[i]!;
    if (Math.abs(difference) <= threshold) return sample;
    return Math.min(65535, Math.max(0, sample + Math.trunc((difference * percent) / 100)));
  });
}
