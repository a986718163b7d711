/** Rec. 601 luma of gamma-encoded colour, bit for bit as Pillow's or as OpenCV's. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { kernels } from './module.ts';
import { forRuns, inRuns } from './runs.ts';
import { maximumOf } from './samples.ts';

/** What each colour adds to luma, in 65536ths. Green's weight is even. */
export type LumaWeights = readonly [red: number, green: number, blue: number];

/** Those of Pillow's `convert("L")`. */
export const PILLOW_LUMA: LumaWeights = [19595, 38470, 7471];
/** Those of OpenCV's `cvtColor` to grey, at 8 and 16 bits: in 32768ths there, which rounds otherwise once in 700 pixels. */
export const OPENCV_LUMA: LumaWeights = [19596, 38470, 7470];

/**
 * Grey from colour as Pillow's `convert("L")`: `(19595 R + 38470 G + 7471 B + 32768) >> 16`, at 8 and 16 bits.
 * Alpha is kept: RGB gives grey, RGBA gives grey + alpha. Grey images are returned as they are.
 */
export function grayscale(pixels: Pixels): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels < 3) return pixels;
  const plane = lumaPlane(pixels, PILLOW_LUMA);
  if (channels === 3) return { data: plane, width, height, channels: 1 };
  const out = allocateLike(data, plane.length * 2);
  for (let i = 0; i < plane.length; i++) {
    out[2 * i] = plane[i]!;
    out[2 * i + 1] = data[4 * i + 3]!;
  }
  return { data: out, width, height, channels: 2 };
}

/** Luma alone, one sample a pixel. */
export function lumaPlane({ data, width, height, channels }: Pixels, weights: LumaWeights): Pixels['data'] {
  if (channels === 1) return data;
  if (channels > 2 && data instanceof Uint8Array) {
    const { run } = kernels();
    return inRuns(data, channels, 1, (source, target, count) =>
      run.luma(source, count, channels, target, ...weights),
    );
  }
  const out = allocateLike(data, width * height);
  for (let i = 0, at = 0; i < out.length; i++, at += channels) {
    out[i] = channels === 2 ? data[at]! : luma(data[at]!, data[at + 1]!, data[at + 2]!, weights);
  }
  return out;
}

/** The mean of all pixels' luma, by Pillow's weights. */
export function meanLuma({ data, width, height, channels }: Pixels): number {
  let total = 0;
  if (data instanceof Uint8Array && channels !== 2) {
    const { run } = kernels();
    forRuns(data, channels, 1, (source, plane, pixels) => {
      if (channels > 2) run.luma(source, pixels, channels, plane, ...PILLOW_LUMA);
      total += run.sum(channels > 2 ? plane : source, pixels);
    });
  } else for (const sample of lumaPlane({ data, width, height, channels }, PILLOW_LUMA)) total += sample;
  return total / (width * height);
}

/** Rec. 601 luma of one pixel, rounded, in the samples' own range. */
export function luma(red: number, green: number, blue: number, weights: LumaWeights): number {
  return (weights[0] * red + weights[1] * green + weights[2] * blue + 32768) >>> 16;
}

/** The grey plane on which edges are looked for: OpenCV's luma × alpha, so that hidden colours make no edges. */
export function edgePlane(pixels: Pixels): Pixels & { channels: 1 } {
  const { data, width, height, channels } = pixels;
  const plane = lumaPlane(pixels, OPENCV_LUMA);
  if (channels % 2 === 1) return { data: plane, width, height, channels: 1 };
  const max = maximumOf(data);
  const out = allocateLike(data, plane.length);
  for (let i = 0, at = channels - 1; i < out.length; i++, at += channels) {
    out[i] = Math.round((plane[i]! * data[at]!) / max);
  }
  return { data: out, width, height, channels: 1 };
}
