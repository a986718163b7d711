/** Brightness, contrast and saturation, bit for bit as Pillow's ImageEnhance at 8 bits; the same formulas at 16. */
import type { Pixels } from '../../runtime/filter.ts';
import { blended } from './blend.ts';
import { luma, meanLuma, PILLOW_LUMA } from './grayscale.ts';
import { kernels } from './module.ts';
import { inRuns } from './runs.ts';
import { keepAlpha } from './samples.ts';

/** Multiplies every colour sample by `factor` (0 or more; 1 changes nothing), truncated and clipped; alpha is kept. */
export function brightness(pixels: Pixels, factor: number): Pixels {
  return blendWithLevel(pixels, 0, factor);
}

/** Moves colours away from (`factor` > 1) or towards (< 1) the image's mean luma; 0 is flat grey; alpha is kept. */
export function contrast(pixels: Pixels, factor: number): Pixels {
  return blendWithLevel(pixels, Math.floor(meanLuma(pixels) + 0.5), factor);
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

/** Every sample but alpha blended with one level. */
function blendWithLevel(pixels: Pixels, level: number, factor: number): Pixels {
  const { data, channels } = pixels;
  if (factor === 1) return pixels;
  const out =
    data instanceof Uint8Array ? blendBytes(data, channels, level, factor) : blendWords(data, level, factor);
  keepAlpha(pixels, out);
  return { ...pixels, data: out };
}

function blendBytes(data: Uint8Array, channels: number, level: number, factor: number): Uint8Array {
  const { heap, run } = kernels();
  return inRuns(data, channels, channels, (source, target, pixels) => {
    const count = pixels * channels;
    heap.fill(level, target, target + count);
    run.blend(target, source, count, factor, target);
  });
}

/** Each of the 65536 possible results is computed once. */
function blendWords(data: Uint16Array, level: number, factor: number): Uint16Array {
  const table = Uint16Array.from({ length: 65536 }, (_, sample) => blended(level, sample, factor, 65535));
  return data.map((sample) => table[sample]!);
}
