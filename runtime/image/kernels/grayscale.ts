/** Rec. 601 luma of gamma-encoded colour, bit for bit as Pillow's `convert("L")`. */
import type { Pixels } from '../../filter.ts';

/**
 * Grey from colour: `(19595 R + 38470 G + 7471 B + 32768) >> 16`, at 8 and 16 bits.
 * Alpha is kept: RGB gives grey, RGBA gives grey + alpha. Grey images are returned as they are.
 */
export function grayscale(pixels: Pixels): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels < 3) return pixels;
  const outChannels = channels === 4 ? 2 : 1;
  const out = emptyLike(data, width * height * outChannels);
  for (let from = 0, to = 0; from < data.length; from += channels, to += outChannels) {
    out[to] = luma(data[from]!, data[from + 1]!, data[from + 2]!);
    if (channels === 4) out[to + 1] = data[from + 3]!;
  }
  return { data: out, width, height, channels: outChannels };
}

/** Rec. 601 luma of one pixel, rounded, in the samples' own range. */
export function luma(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >>> 16;
}

/** A zeroed array of `length` samples of the same depth as `data`. */
export function emptyLike(data: Pixels['data'], length: number): Pixels['data'] {
  return data instanceof Uint8Array ? new Uint8Array(length) : new Uint16Array(length);
}
