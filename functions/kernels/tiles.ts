/** Cuts images into tiles, so that kernels of any reach work in a few megabytes whatever the image's size. */
import { type Kernels, kernels } from './module.ts';

/** Interleaved samples: {@link Pixels}, or floats between two steps of a kernel. */
export interface Samples {
  data: Uint8Array | Uint16Array | Float32Array;
  width: number;
  height: number;
  channels: number;
}

/** A rectangle in pixels. It may be partly or wholly outside its image: then the edge pixels are repeated. */
export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A tile's width and height for kernels that read few rows at once: long rows are read twice as fast as short ones. */
export const WIDE_TILE = { width: 4096, height: 32 };

/** Visits an image's tiles, row by row. */
export function* tiles(
  image: { width: number; height: number },
  width: number,
  height: number,
): Iterable<Region> {
  for (let y = 0; y < image.height; y += height) {
    for (let x = 0; x < image.width; x += width) {
      yield { x, y, width: Math.min(width, image.width - x), height: Math.min(height, image.height - y) };
    }
  }
}

/** A region and `reach` more pixels on each side. */
export function withHalo({ x, y, width, height }: Region, reach: number): Region {
  return { x: x - reach, y: y - reach, width: width + 2 * reach, height: height + 2 * reach };
}

/** Copies a region into the kernels' memory as it is stored, rows `stride` bytes apart. */
export function loadRegion(image: Samples, region: Region, address: number, stride: number): void {
  const { heap, run } = kernels();
  const pixel = image.channels * image.data.BYTES_PER_ELEMENT;
  const bytes = bytesOf(image);
  const first = clamp(region.x, image.width - 1);
  const last = clamp(region.x + region.width - 1, image.width - 1);
  const left = clamp(first - region.x, region.width - 1);
  const right = region.width - left - (last - first + 1);
  let to = address + left * pixel;
  for (let row = 0; row < region.height; row++, to += stride) {
    const y = clamp(region.y + row, image.height - 1);
    heap.set(bytes.subarray((y * image.width + first) * pixel, (y * image.width + last + 1) * pixel), to);
  }
  if (left + right > 0) run.extendRows(address, stride, region.height, pixel, left, last - first + 1, right);
}

/** Copies a region out of the kernels' memory. The region must be inside the image. */
export function storeRegion(image: Samples, region: Region, address: number, stride: number): void {
  const { heap } = kernels();
  const pixel = image.channels * image.data.BYTES_PER_ELEMENT;
  const bytes = bytesOf(image);
  for (let row = 0; row < region.height; row++) {
    const from = address + row * stride;
    const to = ((region.y + row) * image.width + region.x) * pixel;
    bytes.set(heap.subarray(from, from + region.width * pixel), to);
  }
}

/** Writes numbers (a kernel's weights) into the kernels' memory. */
export function loadWeights({ heap }: Kernels, weights: Float32Array | Int16Array, address: number): void {
  heap.set(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), address);
}

function bytesOf({ data }: Samples): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function clamp(value: number, max: number): number {
  return Math.min(max, Math.max(0, value));
}
