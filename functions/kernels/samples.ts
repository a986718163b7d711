/** Small facts about samples that every kernel needs. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';

/** Red, green and blue from 0 to 255. */
export interface Rgb {
  r: number;
  g: number;
  b: number;
}

export function isGrey({ r, g, b }: Rgb): boolean {
  return r === g && g === b;
}

/** The largest sample: 255 or 65535. */
export function maximumOf(data: Pixels['data']): number {
  return data instanceof Uint8Array ? 255 : 65535;
}

/** Index of the alpha channel, or −1. */
export function alphaChannel(channels: Pixels['channels']): number {
  return channels % 2 === 0 ? channels - 1 : -1;
}

/** Copies the alpha channel, if there is one, into `to`. */
export function keepAlpha({ data, channels }: Pixels, to: Pixels['data']): void {
  const alpha = alphaChannel(channels);
  if (alpha < 0) return;
  for (let i = alpha; i < data.length; i += channels) to[i] = data[i]!;
}

/** Grey samples as red, green and blue; alpha is kept. Colour is returned as it is. */
export function toColour(pixels: Pixels): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels > 2) return pixels;
  const outChannels = channels === 2 ? 4 : 3;
  const out = allocateLike(data, width * height * outChannels);
  for (let from = 0, to = 0; from < data.length; from += channels, to += outChannels) {
    out.fill(data[from]!, to, to + 3);
    if (channels === 2) out[to + 3] = data[from + 1]!;
  }
  return { data: out, width, height, channels: outChannels };
}
