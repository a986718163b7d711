/** Changes between grey and colour, and between transparent and opaque samples. */
import type { Pixels } from '../../runtime/filter.ts';
import { own } from './memory.ts';

/** Red, green and blue from 0 to 255. */
export interface Rgb {
  r: number;
  g: number;
  b: number;
}

/** Lays transparent pixels on a background and drops the alpha, rounded. Grey stays grey on a grey one. */
export function flatten(pixels: Pixels, background: Rgb): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels !== 2 && channels !== 4) return pixels;
  if (channels === 2 && !isGrey(background)) return flatten(toColour(pixels), background);
  const max = maximumOf(data);
  const behind = [background.r, background.g, background.b].map((sample) => (sample * max) / 255);
  const outChannels = channels === 2 ? 1 : 3;
  const out = samplesLike(data, width * height * outChannels);
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const alpha = data[from + outChannels]! / max;
    for (let c = 0; c < outChannels; c++) {
      out[to++] = Math.round(data[from + c]! * alpha + behind[c]! * (1 - alpha));
    }
  }
  return { data: out, width, height, channels: outChannels };
}

/** Grey samples as red, green and blue; alpha is kept. Colour is returned as it is. */
export function toColour(pixels: Pixels): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels > 2) return pixels;
  const outChannels = channels === 2 ? 4 : 3;
  const out = samplesLike(data, width * height * outChannels);
  for (let from = 0, to = 0; from < data.length; from += channels, to += outChannels) {
    out.fill(data[from]!, to, to + 3);
    if (channels === 2) out[to + 3] = data[from + 1]!;
  }
  return { data: out, width, height, channels: outChannels };
}

export function isGrey({ r, g, b }: Rgb): boolean {
  return r === g && g === b;
}

/** The value of white, or of fully opaque. */
export function maximumOf(data: Pixels['data']): 255 | 65535 {
  return data instanceof Uint16Array ? 65535 : 255;
}

/** A zeroed array of `length` samples of the same depth as `data`. */
export function samplesLike(data: Pixels['data'], length: number): Pixels['data'] {
  return own(data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length));
}
