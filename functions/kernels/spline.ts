/** Shrinks images with a cubic B-spline and grows them back, as one pair around a blur. */
import { loadFloats, storeFloats } from './floats.ts';
import { align, kernels } from './module.ts';
import { loadRegion, loadWeights, type Samples, storeRegion, tiles } from './tiles.ts';

/** Pixels of the shrunk image before and after the image itself, where the spline still sees its edge. */
const MARGIN = 2;
const TILE_SAMPLES = 768;
const TILE_HEIGHT = 64;

/** Every `factor`-th pixel of the smoothed image as floats, from `MARGIN` before it to `MARGIN` after it. */
export function shrink(from: Samples, factor: number, weighted: boolean): Samples {
  const wasm = kernels();
  const { channels } = from;
  const to = emptyShrunk(from, factor);
  const reach = 2 * factor - 1;
  const tileWidth = Math.ceil(TILE_SAMPLES / channels / factor);
  const tileHeight = Math.ceil(TILE_HEIGHT / factor);
  const stride = align(4 * (tileWidth * factor + 2 * reach) * channels, 64);
  const size = stride * (tileHeight * factor + 2 * reach);
  const [weights, stage, floats, line, target] = wasm.place(
    4 * (reach + 1),
    size / 2,
    size,
    stride,
    stride * tileHeight,
  );
  // Half weights: the kernel adds each to the samples on both sides, the first one to the centre twice.
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
    loadFloats(from, region, { stage, floats, stride, weighted });
    wasm.run.shrink(
      floats,
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

function emptyShrunk(from: Samples, factor: number): Samples {
  const width = Math.ceil((from.width - 1) / factor) + 1 + 2 * MARGIN;
  const height = Math.ceil((from.height - 1) / factor) + 1 + 2 * MARGIN;
  return { data: new Float32Array(width * height * from.channels), width, height, channels: from.channels };
}

/** Fills `to` with the spline through the pixels of `from`, which {@link shrink} made by the same factor. */
export function grow(from: Samples, to: Samples, factor: number, weighted: boolean): void {
  const wasm = kernels();
  const { channels } = from;
  const tileWidth = TILE_SAMPLES / channels;
  const stride = align(4 * tileWidth * channels, 64);
  const sourceStride = align(4 * (Math.ceil(tileWidth / factor) + 4) * channels, 64);
  const sourceRows = Math.ceil(TILE_HEIGHT / factor) + 4;
  const [weights, source, lines, floats, stage] = wasm.place(
    16 * factor,
    sourceStride * sourceRows,
    stride * sourceRows,
    stride * TILE_HEIGHT,
    stride * TILE_HEIGHT,
  );
  const phases = Float32Array.from({ length: 4 * factor }, (_, i) => spline((i >> 2) / factor + 1 - (i & 3)));
  loadWeights(wasm, phases, weights);
  for (const tile of tiles(to, tileWidth, TILE_HEIGHT)) {
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
      floats,
      stride,
    );
    storeFloats(to, tile, { stage, floats, stride, weighted });
  }
}

/** The variance in pixels² of shrinking by `factor`, and again of growing back. */
export function splineVariance(factor: number): number {
  let variance = 0;
  for (let k = 1; k < 2 * factor; k++) variance += (2 * k * k * spline(k / factor)) / factor;
  return variance;
}

/** The cubic B-spline: four boxes of width 1 convolved. */
function spline(t: number): number {
  const x = Math.abs(t);
  if (x >= 2) return 0;
  return x >= 1 ? (2 - x) ** 3 / 6 : 2 / 3 - x * x + x ** 3 / 2;
}
