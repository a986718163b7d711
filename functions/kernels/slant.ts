/** Where the pixels of a turned image come from, and the fast path for those that are inside the source. */
import type { Pixels } from '../../runtime/filter.ts';
import { align, kernels } from './module.ts';
import { loadRegion, type Region, tiles } from './tiles.ts';

/** The result's pixel (0, 0) comes from (x, y); the next one from (cos, −sin) further, the next row's from (sin, cos). */
export interface Slant {
  x: number;
  y: number;
  cos: number;
  sin: number;
}

/** Of every row, the pixels from `first` up to, not with, `end`; none when `end` is not greater. */
export interface Spans {
  first: Int32Array;
  end: Int32Array;
}

interface Size {
  width: number;
  height: number;
}

/** The source's centre becomes the result's. */
export function slantOf(source: Size, out: Size, { cos, sin }: { cos: number; sin: number }): Slant {
  const across = (out.width - 1) / 2;
  const down = (out.height - 1) / 2;
  const x = (source.width - 1) / 2 - cos * across - sin * down;
  const y = (source.height - 1) / 2 + sin * across - cos * down;
  return { x, y, cos, sin };
}

export function sourceX(slant: Slant, x: number, y: number): number {
  return slant.x + slant.cos * x + slant.sin * y;
}

export function sourceY(slant: Slant, x: number, y: number): number {
  return slant.y - slant.sin * x + slant.cos * y;
}

/** Room for the rounding of the fixed-point coordinates, pixels. */
const INSET = 1 / 128;

/** The pixels whose four neighbours are all in the source. */
export function insideSpans(source: Size, out: Size, slant: Slant): Spans {
  return spans(source, out, slant, INSET, -1 - INSET);
}

/** The pixels with a neighbour that may be in the source. */
export function touchedSpans(source: Size, out: Size, slant: Slant): Spans {
  return spans(source, out, slant, -1, 0);
}

/** The pixels that come from between `least` and the source's far side plus `most`, on both axes. */
function spans(source: Size, out: Size, slant: Slant, least: number, most: number): Spans {
  const first = new Int32Array(out.height);
  const end = new Int32Array(out.height);
  for (let y = 0; y < out.height; y++) {
    const [left, right] = between(sourceX(slant, 0, y), slant.cos, least, source.width + most);
    const [top, bottom] = between(sourceY(slant, 0, y), -slant.sin, least, source.height + most);
    first[y] = Math.min(out.width, Math.max(0, Math.ceil(Math.max(left, top))));
    end[y] = Math.max(first[y]!, Math.min(out.width, Math.floor(Math.min(right, bottom)) + 1));
  }
  return { first, end };
}

/** The steps for which `start + steps × step` is between `least` and `most`. */
function between(start: number, step: number, least: number, most: number): [number, number] {
  const none: [number, number] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  if (least > most) return none;
  if (Math.abs(step) < 1e-9) return start >= least && start <= most ? [none[1], none[0]] : none;
  const [a, b] = [(least - start) / step, (most - start) / step];
  return a < b ? [a, b] : [b, a];
}

const TILE_SIDE = 128;
/** The longest side of what a tile comes from, with a pixel to spare on each side. */
const SOURCE_SIDE = Math.ceil(TILE_SIDE * Math.SQRT2) + 4;

/** Fills the spans of an image of one or three 8-bit channels. */
export function turnTiles(source: Pixels, out: Pixels, slant: Slant, inside: Spans): void {
  const { channels } = source;
  const stride = align(SOURCE_SIDE * channels, 64);
  const rowBytes = TILE_SIDE * channels;
  const [from, to] = kernels().place(stride * SOURCE_SIDE, rowBytes * TILE_SIDE);
  for (const tile of tiles(out, TILE_SIDE, TILE_SIDE)) {
    const parts = rowsOf(tile, inside);
    if (parts.length === 0) continue;
    const region = sourceOf(tile, slant);
    loadRegion(source, region, from, stride);
    const isFull = parts.length === tile.height && parts.every(({ width }) => width === tile.width);
    for (const part of isFull ? [tile] : parts) turnPart(part);
    for (const { x, y, width } of parts) {
      const at = to + (y - tile.y) * rowBytes + (x - tile.x) * channels;
      out.data.set(kernels().heap.subarray(at, at + width * channels), (y * out.width + x) * channels);
    }

    function turnPart({ x, y, width, height }: Region): void {
      kernels().run.turn(
        from,
        stride,
        channels,
        fixed(sourceX(slant, x, y) - region.x),
        fixed(sourceY(slant, x, y) - region.y),
        fixed(slant.cos),
        fixed(slant.sin),
        width,
        height,
        to + (y - tile.y) * rowBytes + (x - tile.x) * channels,
        rowBytes,
      );
    }
  }
}

/** The part of each row of a tile that is in the row's span. */
function rowsOf(tile: Region, { first, end }: Spans): Region[] {
  const rows: Region[] = [];
  for (let y = tile.y; y < tile.y + tile.height; y++) {
    const x = Math.max(tile.x, first[y]!);
    const width = Math.min(tile.x + tile.width, end[y]!) - x;
    if (width > 0) rows.push({ x, y, width, height: 1 });
  }
  return rows;
}

/** What a tile comes from, with a pixel to spare on each side. */
function sourceOf({ x, y, width, height }: Region, slant: Slant): Region {
  const corners = [
    [x, y],
    [x + width, y],
    [x, y + height],
    [x + width, y + height],
  ] as const;
  const across = corners.map(([x, y]) => sourceX(slant, x, y));
  const down = corners.map(([x, y]) => sourceY(slant, x, y));
  const left = Math.floor(Math.min(...across)) - 1;
  const top = Math.floor(Math.min(...down)) - 1;
  return {
    x: left,
    y: top,
    width: Math.ceil(Math.max(...across)) + 1 - left,
    height: Math.ceil(Math.max(...down)) + 1 - top,
  };
}

function fixed(value: number): number {
  return Math.round(value * 65536);
}
