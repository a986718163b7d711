/** Rotation by any angle. */
import type { Pixels } from '../../filter.ts';
import { isGrey, maximumOf, type Rgb, samplesLike, toColour } from './channels.ts';

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
  const colours = source.channels < 3 ? 1 : 3;
  const hasAlpha = source.channels === 2 || source.channels === 4 || backdrop.alpha < 1;
  const channels = (colours + (hasAlpha ? 1 : 0)) as Pixels['channels'];
  const { width, height } = rotatedSize(source, angle);
  const data = samplesLike(source.data, width * height * channels);
  const out = { data, width, height, channels };
  const { cos, sin } = turn(angle);
  const sample = sampler(source, backdrop, out);
  for (let y = 0, to = 0; y < height; y++) {
    const dy = y - (height - 1) / 2;
    for (let x = 0; x < width; x++, to += channels) {
      const dx = x - (width - 1) / 2;
      sample(cos * dx + sin * dy + (source.width - 1) / 2, cos * dy - sin * dx + (source.height - 1) / 2, to);
    }
  }
  return out;
}

/** Writes the bilinear mix around (x, y) of the source; beyond its edge lies the backdrop. */
function sampler(
  source: Pixels,
  backdrop: Backdrop,
  out: Pixels,
): (x: number, y: number, to: number) => void {
  const max = maximumOf(source.data);
  const colours = source.channels < 3 ? 1 : 3;
  const sourceHasAlpha = source.channels > colours;
  const outHasAlpha = out.channels > colours;
  const behind = [backdrop.r, backdrop.g, backdrop.b].map((level) => ((level * max) / 255) * backdrop.alpha);
  const mixed = new Float64Array(colours);
  const { data, width, height, channels } = source;
  return (x, y, to) => {
    const left = Math.floor(x);
    const top = Math.floor(y);
    const alpha = addTaps(left, top, x - left, y - top);
    for (let c = 0; c < colours; c++) out.data[to + c] = alpha > 0 ? Math.round(mixed[c]! / alpha) : 0;
    if (outHasAlpha) out.data[to + colours] = Math.round(alpha * max);
  };

  function addTaps(left: number, top: number, right: number, bottom: number): number {
    mixed.fill(0);
    return (
      addTap(left, top, (1 - right) * (1 - bottom)) +
      addTap(left + 1, top, right * (1 - bottom)) +
      addTap(left, top + 1, (1 - right) * bottom) +
      addTap(left + 1, top + 1, right * bottom)
    );
  }

  /** Adds one neighbour's colour times its alpha and weight; returns its share of the alpha. */
  function addTap(x: number, y: number, weight: number): number {
    if (x < 0 || y < 0 || x >= width || y >= height) {
      for (let c = 0; c < colours; c++) mixed[c]! += behind[c]! * weight;
      return backdrop.alpha * weight;
    }
    const at = (y * width + x) * channels;
    const share = sourceHasAlpha ? (data[at + colours]! / max) * weight : weight;
    for (let c = 0; c < colours; c++) mixed[c]! += data[at + c]! * share;
    return share;
  }
}

function turn(angle: number): { cos: number; sin: number } {
  const radians = (angle * Math.PI) / 180;
  return { cos: Math.cos(radians), sin: Math.sin(radians) };
}
