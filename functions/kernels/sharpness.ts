/** Pillow's ImageEnhance.Sharpness: bit for bit at 8 bits, the same formula at 16. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { blended } from './blend.ts';
import { align, kernels } from './module.ts';
import { keepAlpha } from './samples.ts';
import { loadRegion, storeRegion, tiles, WIDE_TILE, withHalo } from './tiles.ts';

/**
 * Moves each sample away from (`factor` > 1) or towards (< 1) the mean of its neighbourhood, where its own weight
 * is 5 and its eight neighbours' 1 (Pillow's SMOOTH). 1 changes nothing; the outermost pixels and alpha are kept.
 */
export function sharpness(pixels: Pixels, factor: number): Pixels {
  if (factor === 1) return pixels;
  const out = { ...pixels, data: allocateLike(pixels.data) };
  if (pixels.data instanceof Uint8Array) sharpenBytes(pixels, out, factor);
  else sharpenWords(pixels, out, factor);
  keepBorder(pixels, out);
  keepAlpha(pixels, out.data);
  return out;
}

function sharpenBytes(from: Pixels, to: Pixels, factor: number): void {
  const { channels } = from;
  const { place, run } = kernels();
  const { width: tileWidth, height: tileHeight } = WIDE_TILE;
  const stride = align((tileWidth + 2) * channels, 64);
  const [source, line, target] = place(stride * (tileHeight + 2), 2 * stride, stride * tileHeight);
  for (const tile of tiles(from, tileWidth, tileHeight)) {
    loadRegion(from, withHalo(tile, 1), source, stride);
    const samples = tile.width * channels;
    run.smooth(source, stride, samples, tile.height, channels, line, target, stride);
    for (let y = 0; y < tile.height; y++) {
      const base = target + y * stride;
      run.blend(base, source + (y + 1) * stride + channels, samples, factor, base);
    }
    storeRegion(to, tile, target, stride);
  }
}

function sharpenWords({ data, width, height, channels }: Pixels, to: Pixels, factor: number): void {
  const row = width * channels;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + channels; i < (y + 1) * row - channels; i++) {
      const sum = three(data, i - row, channels) + three(data, i, channels) + three(data, i + row, channels);
      const base = Math.floor((sum + 4 * data[i]!) / 13 + 0.5);
      to.data[i] = blended(base, data[i]!, factor, 65535);
    }
  }
}

function three(data: Pixels['data'], i: number, channels: number): number {
  return data[i - channels]! + data[i]! + data[i + channels]!;
}

function keepBorder({ data, width, height, channels }: Pixels, to: Pixels): void {
  const row = width * channels;
  to.data.set(data.subarray(0, row));
  to.data.set(data.subarray((height - 1) * row), (height - 1) * row);
  for (let first = 0; first < data.length; first += row) {
    for (let c = 0; c < channels; c++) {
      to.data[first + c] = data[first + c]!;
      to.data[first + row - channels + c] = data[first + row - channels + c]!;
    }
  }
}
