/** Lays what is transparent on a colour, for formats that hold no transparency. */
import type { Pixels } from '../filter.ts';
import { adoptSamples } from './sample-memory.ts';

/** Red, green and blue from 0 to 255. */
interface Background {
  r: number;
  g: number;
  b: number;
}

/** Drops the alpha, rounded. Grey stays grey on a grey background, and becomes colour on a coloured one. */
export function flatten(pixels: Pixels, { r, g, b }: Background): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels !== 2 && channels !== 4) return pixels;
  const colours = channels - 1;
  const outChannels = colours === 1 && r === g && r === b ? 1 : 3;
  const deep = data instanceof Uint16Array;
  const max = deep ? 65535 : 255;
  const behind = [r, g, b].map((sample) => (sample * max) / 255);
  const length = width * height * outChannels;
  const out = adoptSamples(deep ? new Uint16Array(length) : new Uint8Array(length));
  for (let from = 0, to = 0; from < data.length; from += channels) {
    const alpha = data[from + colours]! / max;
    for (let c = 0; c < outChannels; c++) {
      const sample = data[from + Math.min(c, colours - 1)]!;
      out[to++] = Math.round(sample * alpha + behind[c]! * (1 - alpha));
    }
  }
  return { data: out, width, height, channels: outChannels };
}
