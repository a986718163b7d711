/** Lays one image over a part of another. */
import type { Pixels } from '../../runtime/filter.ts';
import type { Rgba } from './rgba.ts';
import { maximumOf, toColour } from './samples.ts';

interface Size {
  width: number;
  height: number;
}

/** Where a mark's top left corner is; the mark may reach over every edge. */
export interface Spot {
  left: number;
  top: number;
}

/**
 * Lays the mark on the base at each spot, mixed by the mark's alpha times `opacity` (0–1), rounded. The base is
 * written to and returned. It keeps its depth and its kind of alpha; grey becomes colour, in a copy, only under a
 * mark that has colour.
 */
export function overlay(base: Pixels, mark: Rgba, spots: Iterable<Spot>, opacity: number): Pixels {
  const out = base.channels < 3 && hasColour(mark) ? toColour(base) : base;
  for (const spot of spots) layOn(out, mark, spot, opacity);
  return out;
}

/** Every spot, a mark and a gap apart from the first one, where a mark touches the image. */
export function* tiled(first: Spot, mark: Size, image: Size, gap: number): Generator<Spot> {
  const across = mark.width + gap;
  const down = mark.height + gap;
  for (let top = startBefore(first.top, down); top < image.height; top += down) {
    for (let left = startBefore(first.left, across); left < image.width; left += across) yield { left, top };
  }
}

/** The last place at or before the edge from which steps lead to `from`. */
function startBefore(from: number, step: number): number {
  return (((from % step) + step) % step) - step;
}

function layOn(out: Pixels, mark: Rgba, { left, top }: Spot, opacity: number): void {
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
function mix(
  { data, channels }: Pixels,
  to: number,
  mark: Rgba['data'],
  from: number,
  opacity: number,
): void {
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

function hasColour({ data }: Rgba): boolean {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3]! > 0 && (data[i] !== data[i + 1] || data[i] !== data[i + 2])) return true;
  }
  return false;
}
