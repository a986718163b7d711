/** Mirrors samples, every one of which is kept. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { align, kernels } from './module.ts';
import { loadRegion, storeRegion, tiles } from './tiles.ts';

const TILE_WIDTH = 4096;
const TILE_HEIGHT = 16;

/** Swaps left and right (`across`), top and bottom (`down`), or both. */
export function mirror(pixels: Pixels, across: boolean, down: boolean): Pixels {
  const out = { ...pixels, data: allocateLike(pixels.data) };
  if (across) mirrorTiles(pixels, out, down);
  else copyRows(pixels, out, down);
  return out;
}

function mirrorTiles(from: Pixels, to: Pixels, down: boolean): void {
  const { place, run } = kernels();
  const pixel = from.channels * from.data.BYTES_PER_ELEMENT;
  const stride = align(TILE_WIDTH * pixel, 64);
  const [source, target] = place(stride * TILE_HEIGHT, stride * TILE_HEIGHT);
  for (const tile of tiles(from, TILE_WIDTH, TILE_HEIGHT)) {
    loadRegion(from, tile, source, stride);
    run.mirrorRows(source, stride, tile.width, tile.height, pixel, target, stride);
    const x = from.width - tile.x - tile.width;
    if (down) {
      const y = from.height - tile.y - tile.height;
      storeRegion(to, { ...tile, x, y }, target + (tile.height - 1) * stride, -stride);
    } else storeRegion(to, { ...tile, x }, target, stride);
  }
}

function copyRows({ data, width, height, channels }: Pixels, to: Pixels, down: boolean): void {
  const row = width * channels;
  for (let y = 0; y < height; y++) {
    const first = (down ? height - 1 - y : y) * row;
    to.data.set(data.subarray(first, first + row), y * row);
  }
}
