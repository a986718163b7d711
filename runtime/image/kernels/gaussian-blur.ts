/**
 * Gaussian blur, exact to one level at any radius. Small radii are convolved directly. For larger ones the image
 * is shrunk with a cubic B-spline, blurred there and grown back with the same spline: variances of successive
 * kernels add, so the blur in the middle is given what the splines have not done already.
 */
import type { Pixels } from '../../filter.ts';
import { align, kernels } from './module.ts';
import { emptyLike } from './samples.ts';
import { loadRegion, loadWeights, type Region, type Samples, storeRegion, tiles, withHalo } from './tiles.ts';

/** Above this standard deviation (pixels) shrinking costs less than convolving. */
const DIRECT_MAX_SIGMA = 6;
/** The kernel's tails beyond this many standard deviations weigh less than 1/1000. */
const REACH_SIGMAS = 3.5;
/** Shrinking by at most σ / 2.5 keeps the spline's departure from a Gaussian below 1/20 of a level. */
const SIGMAS_PER_SHRINK = 2.5;
const MAX_SHRINK = 8;

/**
 * Blurs with a Gaussian of standard deviation `sigma` pixels (0–1000; 0 changes nothing). Edges are
 * replicated. Every sample is within 1 level (257 at 16 bits) of the exact Gaussian; the cost does not grow
 * with `sigma`. Colour is weighted by alpha, so that hidden colours do not bleed.
 */
export function gaussianBlur(pixels: Pixels, sigma: number): Pixels {
  if (!(sigma > 0)) return pixels;
  const weighted = isTranslucent(pixels);
  const out = { ...pixels, data: emptyLike(pixels.data) };
  if (sigma > DIRECT_MAX_SIGMA) blurShrunk(pixels, out, sigma, weighted);
  else if (weighted || pixels.data instanceof Uint16Array) convolve(pixels, out, sigma, weighted);
  else convolveBytes(pixels, out, sigma);
  return out;
}

function isTranslucent({ data, channels }: Pixels): boolean {
  if (channels % 2 === 1) return false;
  const opaque = data instanceof Uint8Array ? 255 : 65535;
  for (let i = channels - 1; i < data.length; i += channels) if (data[i] !== opaque) return true;
  return false;
}

/** Half weights as the kernels take them: h[0] is half the centre's, and h[0] + … + h[reach] = 1/2. */
function gaussianWeights(sigma: number, reach: number): Float64Array {
  const weights = Float64Array.from({ length: reach + 1 }, (_, k) =>
    Math.exp(-(k * k) / (2 * sigma * sigma)),
  );
  weights[0]! /= 2;
  const total = 2 * weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Rounds half weights to Q15 without changing their sum: what rounding one took is given to the next. */
function fixedPoint(weights: Float64Array): Int16Array {
  let carried = 0;
  const fixed = new Int16Array(weights.length);
  for (let k = weights.length - 1; k > 0; k--) {
    const exact = weights[k]! * 32768 + carried;
    fixed[k] = Math.round(exact);
    carried = exact - fixed[k]!;
  }
  fixed[0] = 16384 - fixed.reduce((sum, weight) => sum + weight, 0);
  return fixed;
}

/** 8-bit samples, each channel on its own. */
function convolveBytes(from: Pixels, to: Pixels, sigma: number): void {
  const wasm = kernels();
  const { channels } = from;
  const reach = Math.ceil(sigma * REACH_SIGMAS) | 1;
  const [tileWidth, tileHeight] = [1536 / channels, 64];
  const stride = align((tileWidth + 2 * reach) * channels, 64);
  const [weights, source, line, target] = wasm.place(
    2 * (reach + 1),
    stride * (tileHeight + 2 * reach),
    2 * stride,
    stride * tileHeight,
  ) as [number, number, number, number];
  loadWeights(wasm, fixedPoint(gaussianWeights(sigma, reach)), weights);
  for (const tile of tiles(from, tileWidth, tileHeight)) {
    loadRegion(from, withHalo(tile, reach), source, stride);
    const samples = tile.width * channels;
    wasm.run.blurBytes(source, stride, samples, tile.height, channels, reach, weights, line, target, stride);
    storeRegion(to, tile, target, stride);
  }
}

/** Any samples, by way of floats; `weighted` multiplies colour by alpha first and divides it again at the end. */
function convolve(from: Samples, to: Samples, sigma: number, weighted: boolean): void {
  const wasm = kernels();
  const { channels } = from;
  const reach = Math.ceil(sigma * REACH_SIGMAS);
  const [tileWidth, tileHeight] = [768 / channels, 64];
  const stride = align(4 * (tileWidth + 2 * reach) * channels, 64);
  const size = stride * (tileHeight + 2 * reach);
  const [weights, stage, source, line] = wasm.place(4 * (reach + 1), size / 2, size, stride) as [
    number,
    number,
    number,
    number,
  ];
  const target = source;
  loadWeights(wasm, new Float32Array(gaussianWeights(sigma, reach)), weights);
  for (const tile of tiles(from, tileWidth, tileHeight)) {
    loadFloats(from, withHalo(tile, reach), stage, source, stride, weighted);
    const samples = tile.width * channels;
    wasm.run.blurFloats(source, stride, samples, tile.height, channels, reach, weights, line, target, stride);
    storeFloats(to, tile, stage, target, stride, weighted);
  }
}

function loadFloats(
  from: Samples,
  region: Region,
  stage: number,
  address: number,
  stride: number,
  weighted: boolean,
) {
  const { run } = kernels();
  const samples = region.width * from.channels;
  if (from.data instanceof Float32Array) {
    loadRegion(from, region, address, stride);
    return;
  }
  const widen = from.data instanceof Uint8Array ? run.floatsFromBytes : run.floatsFromWords;
  loadRegion(from, region, stage, stride / 2);
  widen(stage, stride / 2, samples, region.height, address, stride);
  if (weighted) run.premultiply(address, stride, region.width, region.height, from.channels, maximum(from));
}

function storeFloats(
  to: Samples,
  region: Region,
  stage: number,
  address: number,
  stride: number,
  weighted: boolean,
) {
  const { run } = kernels();
  const samples = region.width * to.channels;
  if (to.data instanceof Float32Array) {
    storeRegion(to, region, address, stride);
    return;
  }
  if (weighted) run.unpremultiply(address, stride, region.width, region.height, to.channels, maximum(to));
  const narrow = to.data instanceof Uint8Array ? run.bytesFromFloats : run.wordsFromFloats;
  narrow(address, stride, samples, region.height, stage, stride / 2);
  storeRegion(to, region, stage, stride / 2);
}

function maximum({ data }: Samples): number {
  return data instanceof Uint8Array ? 255 : 65535;
}

/** Pixels of the shrunk image that lie before and after the image, where the spline still sees its edge. */
const MARGIN = 2;

function blurShrunk(from: Samples, to: Samples, sigma: number, weighted: boolean): void {
  const factor = Math.min(MAX_SHRINK, Math.floor(sigma / SIGMAS_PER_SHRINK));
  const rest = Math.sqrt(sigma * sigma - 2 * splineVariance(factor)) / factor;
  const small = shrunk(from, factor, weighted);
  const blurred = { ...small, data: new Float32Array(small.data.length) };
  if (rest > DIRECT_MAX_SIGMA) blurShrunk(small, blurred, rest, false);
  else convolve(small, blurred, rest, false);
  grow(blurred, to, factor, weighted);
}

/** The cubic B-spline at `t`: four boxes convolved, variance 1/3. */
function spline(t: number): number {
  const x = Math.abs(t);
  if (x >= 2) return 0;
  return x >= 1 ? (2 - x) ** 3 / 6 : 2 / 3 - x * x + x ** 3 / 2;
}

function splineVariance(factor: number): number {
  let variance = 0;
  for (let k = 1; k < 2 * factor; k++) variance += (2 * k * k * spline(k / factor)) / factor;
  return variance;
}

/** Every `factor`-th pixel of the smoothed image, from `MARGIN` before it to `MARGIN` after it. */
function shrunk(from: Samples, factor: number, weighted: boolean): Samples {
  const wasm = kernels();
  const { channels } = from;
  const width = Math.ceil((from.width - 1) / factor) + 1 + 2 * MARGIN;
  const height = Math.ceil((from.height - 1) / factor) + 1 + 2 * MARGIN;
  const to = { data: new Float32Array(width * height * channels), width, height, channels };
  const reach = 2 * factor - 1;
  const [tileWidth, tileHeight] = [Math.ceil(768 / channels / factor), Math.ceil(64 / factor)];
  const stride = align(4 * (tileWidth * factor + 2 * reach) * channels, 64);
  const size = stride * (tileHeight * factor + 2 * reach);
  const [weights, stage, source, line, target] = wasm.place(
    4 * (reach + 1),
    size / 2,
    size,
    stride,
    stride * tileHeight,
  ) as [number, number, number, number, number];
  const half = Float32Array.from(
    { length: reach + 1 },
    (_, k) => spline(k / factor) / factor / (k === 0 ? 2 : 1),
  );
  loadWeights(wasm, half, weights);
  for (const tile of tiles(to, tileWidth, tileHeight)) {
    const region = {
      x: (tile.x - MARGIN) * factor - reach,
      y: (tile.y - MARGIN) * factor - reach,
      width: tile.width * factor + 2 * reach,
      height: tile.height * factor + 2 * reach,
    };
    loadFloats(from, region, stage, source, stride, weighted);
    wasm.run.shrink(
      source,
      stride,
      tile.width,
      tile.height,
      channels,
      reach,
      factor,
      weights,
      line,
      target,
      stride,
    );
    storeRegion(to, tile, target, stride);
  }
  return to;
}

/** The inverse of {@link shrunk}'s sampling: the spline through every `factor`-th pixel. */
function grow(from: Samples, to: Samples, factor: number, weighted: boolean): void {
  const wasm = kernels();
  const { channels } = from;
  const [tileWidth, tileHeight] = [768 / channels, 64];
  const stride = align(4 * tileWidth * channels, 64);
  const sourceStride = align(4 * (Math.ceil(tileWidth / factor) + 4) * channels, 64);
  const sourceRows = Math.ceil(tileHeight / factor) + 4;
  const [weights, source, lines, target, stage] = wasm.place(
    16 * factor,
    sourceStride * sourceRows,
    stride * sourceRows,
    stride * tileHeight,
    stride * tileHeight,
  ) as [number, number, number, number, number];
  const phases = Float32Array.from({ length: 4 * factor }, (_, i) => spline((i >> 2) / factor + 1 - (i & 3)));
  loadWeights(wasm, phases, weights);
  for (const tile of tiles(to, tileWidth, tileHeight)) {
    const [phaseX, phaseY] = [tile.x % factor, tile.y % factor];
    const region = {
      x: Math.floor(tile.x / factor) + MARGIN - 1,
      y: Math.floor(tile.y / factor) + MARGIN - 1,
      width: Math.floor((phaseX + tile.width - 1) / factor) + 4,
      height: Math.floor((phaseY + tile.height - 1) / factor) + 4,
    };
    loadRegion(from, region, source, sourceStride);
    wasm.run.grow(
      source,
      sourceStride,
      tile.width,
      tile.height,
      channels,
      factor,
      phaseX,
      phaseY,
      weights,
      lines,
      stride,
      target,
      stride,
    );
    storeFloats(to, tile, stage, target, stride, weighted);
  }
}
