/** Small facts about sample arrays that every kernel needs. */
import type { Pixels } from '../../runtime/filter.ts';
import { roomFor } from './memory.ts';

/** An array of `length` samples of the same depth as `data`, every one of which must be set. */
export function emptyLike(data: Pixels['data'], length: number = data.length): Pixels['data'] {
  return roomFor(data, length);
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
