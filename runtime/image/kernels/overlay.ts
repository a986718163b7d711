/** Lays one image over a part of another. */
import type { Pixels } from '../../filter.ts';
import { maximumOf, samplesLike, toColour } from './channels.ts';

/** What is laid on: 8-bit straight RGBA. */
export interface Mark {
  data: Uint8Array;
  width: number;
  height: number;
}

/** Where a mark lies; it may reach over every edge. */
export interface Spot {
  left: number;
  top: number;
}

/**
 * The base with the mark at each spot, mixed by the mark's alpha times `opacity` (0–1), rounded. The base keeps
 * its depth and its kind of alpha; grey becomes colour only under a mark that has colour.
 */
export function overlay(base: Pixels, mark: Mark, spots: readonly Spot[], opacity: number): Pixels {
  const source = base.channels < 3 && hasColour(mark) ? toColour(base) : base;
  const data = samplesLike(source.data, source.data.length);
  data.set(source.data);
  const out = { ...source, data };
  for (const spot of spots) layOn(out, mark, spot, opacity);
  return out;
}

function layOn(out: Pixels, mark: Mark, { left, top }: Spot, opacity: number): void {
  const firstX = Math.max(0, -left);
  const lastX = Math.min(mark.width, out.width - left);
  for (let y = Math.max(0, -top); y < Math.min(mark.height, out.height - top); y++) {
    let from = (y * mark.width + firstX) * 4;
    let to = ((y + top) * out.width + firstX + left) * out.channels;
    for (let x = firstX; x < lastX; x++, from += 4, to += out.channels)
      mix(out, to, mark.data, from, opacity);
  }
}

/** Porter and Duff's "over" for one pixel, with straight alpha. */
function mix({ data, channels }: Pixels, to: number, mark: Uint8Array, from: number, opacity: number): void {
  const above = (mark[from + 3]! / 255) * opacity;
  if (above === 0) return;
  const max = maximumOf(data);
  const colours = channels < 3 ? 1 : 3;
  const hasAlpha = channels === 2 || channels === 4;
  const below = (hasAlpha ? data[to + colours]! / max : 1) * (1 - above);
  const alpha = above + below;
  for (let c = 0; c < colours; c++) {
    const laid = (mark[from + c]! * max) / 255;
    data[to + c] = Math.round((laid * above + data[to + c]! * below) / alpha);
  }
  if (hasAlpha) data[to + colours] = Math.round(alpha * max);
}

function hasColour({ data }: Mark): boolean {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3]! > 0 && (data[i] !== data[i + 1] || data[i] !== data[i + 2])) return true;
  }
  return false;
}
