/** Enlarges by the Lanczos filter, aligned as in Pillow: the image library's own enlarging is half a pixel off. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { maximumOf } from './samples.ts';

/** Reach of the Lanczos filter, source pixels to either side. */
const LOBES = 3;

/** For every output position, the first source position that counts and the weights from there on. */
interface Weights {
  first: Int32Array;
  /** `taps` weights for every output position; their sum is 1. */
  values: Float64Array;
  taps: number;
}

type Samples = Pixels['data'] | Float32Array;

/**
 * The image at another size, rounded once per axis as in Pillow's `resize(…, LANCZOS)`. Colours are weighted by
 * alpha, so that hidden colours do not bleed. Also right for an axis that shrinks.
 */
export function enlarge(pixels: Pixels, width: number, height: number): Pixels {
  const { channels } = pixels;
  const hasAlpha = channels === 2 || channels === 4;
  const max = maximumOf(pixels.data);
  const source: Samples = hasAlpha ? premultiply(pixels, max) : pixels.data;
  const blank = (length: number): Samples =>
    hasAlpha ? new Float32Array(length) : allocateLike(pixels.data, length);
  const across = weightsFor(pixels.width, width);
  const down = weightsFor(pixels.height, height);
  const wide = resampleRows(
    source,
    pixels.width,
    pixels.height,
    channels,
    across,
    blank(width * pixels.height * channels),
    max,
  );
  const sized = resampleColumns(
    wide,
    width * channels,
    pixels.height,
    down,
    blank(width * height * channels),
    max,
  );
  const data =
    sized instanceof Float32Array
      ? unpremultiply(sized, channels, allocateLike(pixels.data, sized.length))
      : sized;
  return { data, width, height, channels };
}

/** Lanczos weights with each pixel's centre at a half. */
function weightsFor(from: number, to: number): Weights {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = LOBES * stretch;
  const taps = Math.min(from, Math.ceil(reach) * 2 + 1);
  const first = new Int32Array(to);
  const values = new Float64Array(to * taps);
  for (let out = 0; out < to; out++) {
    const centre = (out + 0.5) * scale;
    const start = Math.max(0, Math.min(from - taps, Math.floor(centre - reach + 0.5)));
    first[out] = start;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const weight = lanczos((start + tap + 0.5 - centre) / stretch);
      values[out * taps + tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < taps; tap++) values[out * taps + tap]! /= sum;
  }
  return { first, values, taps };
}

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (LOBES * Math.sin(angle) * Math.sin(angle / LOBES)) / (angle * angle);
}

function resampleRows(
  source: Samples,
  width: number,
  height: number,
  channels: number,
  weights: Weights,
  out: Samples,
  max: number,
): Samples {
  const { first, values, taps } = weights;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < first.length; x++) {
      const start = (y * width + first[x]!) * channels;
      for (let c = 0; c < channels; c++, to++) {
        let sum = 0;
        for (let tap = 0, from = start + c; tap < taps; tap++, from += channels)
          sum += source[from]! * values[x * taps + tap]!;
        out[to] = settle(sum, max, out);
      }
    }
  }
  return out;
}

function resampleColumns(
  source: Samples,
  row: number,
  height: number,
  weights: Weights,
  out: Samples,
  max: number,
): Samples {
  const { first, values, taps } = weights;
  const line = new Float64Array(row);
  for (let y = 0; y < first.length; y++) {
    line.fill(0);
    for (let tap = 0; tap < taps; tap++) {
      const weight = values[y * taps + tap]!;
      const from = Math.min(height - 1, first[y]! + tap) * row;
      if (weight !== 0) for (let i = 0; i < row; i++) line[i]! += source[from + i]! * weight;
    }
    for (let i = 0; i < row; i++) out[y * row + i] = settle(line[i]!, max, out);
  }
  return out;
}

/** Whole samples are rounded and clipped; premultiplied ones stay exact until the end. */
function settle(value: number, max: number, out: Samples): number {
  if (out instanceof Float32Array) return value;
  return value <= 0 ? 0 : Math.min(max, Math.floor(value + 0.5));
}

function premultiply({ data, channels }: Pixels, max: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += channels) {
    const alpha = data[i + channels - 1]!;
    for (let c = 0; c < channels - 1; c++) out[i + c] = (data[i + c]! * alpha) / max;
    out[i + channels - 1] = alpha;
  }
  return out;
}

function unpremultiply(data: Float32Array, channels: number, out: Pixels['data']): Pixels['data'] {
  const max = maximumOf(out);
  for (let i = 0; i < data.length; i += channels) {
    const alpha = Math.min(max, Math.max(0, data[i + channels - 1]!));
    const scale = alpha > 0 ? max / alpha : 0;
    for (let c = 0; c < channels - 1; c++)
      out[i + c] = Math.round(Math.min(max, Math.max(0, data[i + c]! * scale)));
    out[i + channels - 1] = Math.round(alpha);
  }
  return out;
}
