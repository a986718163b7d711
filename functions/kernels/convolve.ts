/** Direct convolution of an image with a Gaussian, tile by tile. */
import type { Pixels } from '../../runtime/filter.ts';
import { loadFloats, storeFloats } from './floats.ts';
import { align, kernels } from './module.ts';
import { loadRegion, loadWeights, type Samples, storeRegion, tiles, withHalo } from './tiles.ts';

/** The kernel's tails beyond this many standard deviations weigh less than 1/2000. */
const REACH_SIGMAS = 3.5;
const TILE_SAMPLES = 1536;
const FLOAT_TILE_SAMPLES = 768;
const TILE_HEIGHT = 64;

/** Blurs 8-bit samples in whole numbers, each channel on its own. */
export function convolveBytes(from: Pixels, to: Pixels, sigma: number): void {
  const wasm = kernels();
  const { channels } = from;
  // The kernel takes weights in pairs, so their number, reach + 1, is even.
  const reach = Math.ceil(sigma * REACH_SIGMAS) | 1;
  const tileWidth = TILE_SAMPLES / channels;
  const stride = align((tileWidth + 2 * reach) * channels, 64);
  const [weights, source, line, target] = wasm.place(
    2 * (reach + 1),
    stride * (TILE_HEIGHT + 2 * reach),
    2 * stride,
    stride * TILE_HEIGHT,
  );
  loadWeights(wasm, fixedPoint(gaussianWeights(sigma, reach)), weights);
  for (const tile of tiles(from, tileWidth, TILE_HEIGHT)) {
    loadRegion(from, withHalo(tile, reach), source, stride);
    const samples = tile.width * channels;
    wasm.run.blurBytes(source, stride, samples, tile.height, channels, reach, weights, line, target, stride);
    storeRegion(to, tile, target, stride);
  }
}

/** Blurs any samples by way of floats; `weighted` multiplies colour by alpha first and divides it again at the end. */
export function convolve(from: Samples, to: Samples, sigma: number, weighted: boolean): void {
  const wasm = kernels();
  const { channels } = from;
  const reach = Math.ceil(sigma * REACH_SIGMAS);
  const tileWidth = FLOAT_TILE_SAMPLES / channels;
  const stride = align(4 * (tileWidth + 2 * reach) * channels, 64);
  const size = stride * (TILE_HEIGHT + 2 * reach);
  const [weights, stage, floats, line] = wasm.place(4 * (reach + 1), size / 2, size, stride);
  loadWeights(wasm, new Float32Array(gaussianWeights(sigma, reach)), weights);
  for (const tile of tiles(from, tileWidth, TILE_HEIGHT)) {
    loadFloats(from, withHalo(tile, reach), { stage, floats, stride, weighted });
    const samples = tile.width * channels;
    // In place: a row is read for the last time before it is written.
    wasm.run.blurFloats(floats, stride, samples, tile.height, channels, reach, weights, line, floats, stride);
    storeFloats(to, tile, { stage, floats, stride, weighted });
  }
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
