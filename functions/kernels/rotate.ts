/** Rotation by any angle. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { isGrey, maximumOf, type Rgb, toColour } from './samples.ts';
import {
  insideSpans,
  type Slant,
  type Spans,
  slantOf,
  sourceX,
  sourceY,
  touchedSpans,
  turnTiles,
} from './slant.ts';

/** The corners' colour; `alpha` goes from 0 to 1. */
export interface Backdrop extends Rgb {
  alpha: number;
}

/** The size of an image turned by `angle` degrees, large enough to hold all of it. */
export function rotatedSize(
  size: { width: number; height: number },
  angle: number,
): { width: number; height: number } {
  const { cos, sin } = turn(angle);
  const side = (a: number, b: number) => Math.max(1, Math.ceil(a * Math.abs(cos) + b * Math.abs(sin) - 1e-6));
  return { width: side(size.width, size.height), height: side(size.height, size.width) };
}

/**
 * Turns clockwise by `angle` degrees around the centre, on a canvas that holds all of the image; bilinear.
 * Colours are mixed by alpha, so that the edge shows neither a dark nor a bright seam. A translucent backdrop
 * adds alpha; a coloured one makes grey images coloured.
 */
export function rotate(pixels: Pixels, angle: number, backdrop: Backdrop): Pixels {
  const source = pixels.channels < 3 && backdrop.alpha > 0 && !isGrey(backdrop) ? toColour(pixels) : pixels;
  const out = canvasFor(source, angle, backdrop);
  const slant = slantOf(source, out, turn(angle));
  const spans = insideSpans(source, out, slant);
  fillAround(source, backdrop, out, slant, spans);
  if (source.data instanceof Uint8Array && source.channels === out.channels && source.channels % 2 === 1)
    turnTiles(source, out, slant, spans);
  else turnPixels(source, backdrop, out, slant, spans);
  return out;
}

/** Fills in what is partly or wholly beyond the source's edge. */
function fillAround(source: Pixels, backdrop: Backdrop, out: Pixels, slant: Slant, inside: Spans): void {
  const mix = mixer(source, backdrop, out);
  const { channels } = out;
  mix(-2, -2, 0, 0, 0);
  const corner = out.data.slice(0, channels);
  const touched = touchedSpans(source, out, slant);
  for (let y = 0; y < out.height; y++) {
    const row = y * out.width;
    const [first, end] = [touched.first[y]!, touched.end[y]!];
    fillPixels(out.data, corner, row, row + first);
    fillPixels(out.data, corner, row + end, row + out.width);
    for (let x = first; x < end; x++) {
      // The inside is left to the quicker ways.
      if (x === inside.first[y] && inside.end[y]! > x) x = inside.end[y]!;
      if (x < end) mixAt(mix, slant, x, y, (row + x) * channels);
    }
  }
}

function fillPixels(data: Pixels['data'], pixel: Pixels['data'], first: number, end: number): void {
  const channels = pixel.length;
  if (pixel.every((sample) => sample === pixel[0])) data.fill(pixel[0]!, first * channels, end * channels);
  else for (let i = first; i < end; i++) data.set(pixel, i * channels);
}

/** The inside of any image: with alpha, at 16 bits. */
function turnPixels(source: Pixels, backdrop: Backdrop, out: Pixels, slant: Slant, inside: Spans): void {
  const mix = mixer(source, backdrop, out);
  const opaque = source.channels % 2 === 1;
  for (let y = 0; y < out.height; y++) {
    for (let x = inside.first[y]!; x < inside.end[y]!; x++) {
      const to = (y * out.width + x) * out.channels;
      if (!opaque) mixAt(mix, slant, x, y, to);
      else mixOpaque(source, out, sourceX(slant, x, y), sourceY(slant, x, y), to);
    }
  }
}

function mixAt(mix: Mixer, slant: Slant, x: number, y: number, to: number): void {
  const fromX = sourceX(slant, x, y);
  const fromY = sourceY(slant, x, y);
  const left = Math.floor(fromX);
  const top = Math.floor(fromY);
  mix(left, top, fromX - left, fromY - top, to);
}

function canvasFor(source: Pixels, angle: number, backdrop: Backdrop): Pixels {
  const { width, height } = rotatedSize(source, angle);
  const hasAlpha = source.channels === 2 || source.channels === 4;
  const channels = (
    hasAlpha || backdrop.alpha === 1 ? source.channels : source.channels + 1
  ) as Pixels['channels'];
  return { data: allocateLike(source.data, width * height * channels), width, height, channels };
}

/** Four opaque neighbours, all inside. */
function mixOpaque(source: Pixels, out: Pixels, fromX: number, fromY: number, to: number): void {
  const left = Math.floor(fromX);
  const top = Math.floor(fromY);
  const right = fromX - left;
  const down = fromY - top;
  const { data, width, channels } = source;
  const above = (top * width + left) * channels;
  const below = above + width * channels;
  for (let c = 0; c < channels; c++) {
    const upper = data[above + c]! + (data[above + channels + c]! - data[above + c]!) * right;
    const lower = data[below + c]! + (data[below + channels + c]! - data[below + c]!) * right;
    out.data[to + c] = upper + (lower - upper) * down + 0.5;
  }
  if (out.channels > channels) out.data[to + channels] = maximumOf(data);
}

/** Takes the upper left neighbour, the distances from it, and where the result goes. */
type Mixer = (left: number, top: number, right: number, down: number, to: number) => void;

/** Mixes the four neighbours of a point by their alpha; beyond the source's edge is the backdrop. */
function mixer(source: Pixels, backdrop: Backdrop, out: Pixels): Mixer {
  const { data, width, height, channels } = source;
  const max = maximumOf(data);
  const colours = channels < 3 ? 1 : 3;
  const behind = [backdrop.r, backdrop.g, backdrop.b].map((level) => ((level * max) / 255) * backdrop.alpha);
  const mixed = new Float64Array(colours);

  return (left, top, right, down, to) => {
    mixed.fill(0);
    const alpha =
      add(left, top, (1 - right) * (1 - down)) +
      add(left + 1, top, right * (1 - down)) +
      add(left, top + 1, (1 - right) * down) +
      add(left + 1, top + 1, right * down);
    for (let c = 0; c < colours; c++)
      out.data[to + c] = alpha > 0 ? Math.min(max, mixed[c]! / alpha + 0.5) : 0;
    if (out.channels > colours) out.data[to + colours] = Math.min(max, alpha * max + 0.5);
  };

  /** Adds one neighbour's colour times its alpha and weight; returns its share of the alpha. */
  function add(x: number, y: number, weight: number): number {
    if (x < 0 || y < 0 || x >= width || y >= height) {
      for (let c = 0; c < colours; c++) mixed[c]! += behind[c]! * weight;
      return backdrop.alpha * weight;
    }
    const at = (y * width + x) * channels;
    const share = channels > colours ? (data[at + colours]! / max) * weight : weight;
    for (let c = 0; c < colours; c++) mixed[c]! += data[at + c]! * share;
    return share;
  }
}

function turn(angle: number): { cos: number; sin: number } {
  const radians = (angle * Math.PI) / 180;
  return { cos: Math.cos(radians), sin: Math.sin(radians) };
}
