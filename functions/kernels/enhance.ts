/** Brightness, contrast and saturation, bit for bit as Pillow's ImageEnhance at 8 bits; the same formulas at 16. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { blended } from './blend.ts';
import { luma, lumaPlane, PILLOW_LUMA } from './grayscale.ts';
import { kernels } from './module.ts';
import { inRuns } from './runs.ts';
import { alphaChannel, maximumOf } from './samples.ts';

/** Multiplies every colour sample by `factor` (0 or more; 1 changes nothing), truncated and clipped; alpha is kept. */
export function brightness(pixels: Pixels, factor: number): Pixels {
  return blendWithLevel(pixels, 0, factor);
}

/** Moves colours away from (`factor` > 1) or towards (< 1) the image's mean luma; 0 is flat grey; alpha is kept. */
export function contrast(pixels: Pixels, factor: number): Pixels {
  const plane = lumaPlane(pixels, PILLOW_LUMA);
  let sum = 0;
  for (let i = 0; i < plane.length; i++) sum += plane[i]!;
  return blendWithLevel(pixels, Math.floor(sum / plane.length + 0.5), factor);
}

/** Moves colours away from (`factor` > 1) or towards (< 1) each pixel's luma; 0 is grey; alpha is kept. */
export function saturation(pixels: Pixels, factor: number): Pixels {
  const { data, channels } = pixels;
  if (channels < 3 || factor === 1) return pixels;
  if (data instanceof Uint8Array) return { ...pixels, data: saturateBytes(data, channels, factor) };
  const out = data.slice();
  for (let i = 0; i < data.length; i += channels) {
    const grey = luma(data[i]!, data[i + 1]!, data[i + 2]!, PILLOW_LUMA);
    for (let c = i; c < i + 3; c++) out[c] = blended(grey, data[c]!, factor, 65535);
  }
  return { ...pixels, data: out };
}

function saturateBytes(data: Uint8Array, channels: number, factor: number): Uint8Array {
  const { run } = kernels();
  return inRuns(data, channels, channels, (source, target, pixels) => {
    run.greyInPlace(source, pixels, channels, target, ...PILLOW_LUMA);
    run.blend(target, source, pixels * channels, factor, target);
  });
}

/** Every sample blended with one level: each of the 256 or 65536 possible results is computed once. */
function blendWithLevel(pixels: Pixels, level: number, factor: number): Pixels {
  const { data, channels } = pixels;
  if (factor === 1) return pixels;
  const max = maximumOf(data);
  const table = allocateLike(data, max + 1);
  for (let sample = 0; sample <= max; sample++) table[sample] = blended(level, sample, factor, max);
  const alpha = alphaChannel(channels);
  const out = alpha < 0 ? allocateLike(data) : data.slice();
  if (alpha < 0) for (let i = 0; i < data.length; i++) out[i] = table[data[i]!]!;
  else for (let i = 0; i < data.length; i += channels) lookUpColour(data, out, table, i, i + alpha);
  return { ...pixels, data: out };
}

function lookUpColour(
  from: Pixels['data'],
  to: Pixels['data'],
  table: Pixels['data'],
  first: number,
  end: number,
): void {
  for (let i = first; i < end; i++) to[i] = table[from[i]!]!;
}
