/** The bounds within which images are decoded, filtered and encoded, and the memory that they ask for. */
import type { OutputFormat } from './formats.ts';

/** Limits on one task's images; every one is checked before the work it bounds, where that can be known. */
export interface ImageLimits {
  /** Size of an input file, bytes. */
  inputBytes: number;
  /** Pixels of an input, over all its frames. */
  pixels: number;
  /** Frames of an animation or pages of a document. */
  frames: number;
  /** Pixels of a result. */
  outputPixels: number;
  /** Whether SVG is decoded. Off by default: its cost cannot be judged from its size. */
  svg: boolean;
  /** Threads the image library may use for one image; its own default (all processors) when absent. */
  threads?: number;
  /** Memory that the process may take in all, bytes; no bound when absent. */
  memoryBytes?: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_LIMITS: Readonly<ImageLimits> = {
  inputBytes: 25 * MEBIBYTE,
  pixels: 50_000_000,
  frames: 100,
  outputPixels: 50_000_000,
  svg: false,
};

/**
 * What decoding takes at the least, bytes a pixel: at 8 bits a sample, and at more. Measured over images of 16 and 49
 * megapixels that were made to be small files (resized to 100 pixels, sharp 0.35.5, one thread, without the 110 MiB of
 * the process itself; test/bench/image-memory.ts):
 *
 * | format | 8 bits                               | more bits                     |
 * |--------|--------------------------------------|-------------------------------|
 * | JPEG   | 0.1; progressive 6.1, of CMYK 8.2    |                               |
 * | PNG    | 0.6 to 0.9; interlaced 4.5           | 1.6; interlaced 8.9           |
 * | WebP   | 0.5 to 4.1                           |                               |
 * | AVIF   | 15.3 (4:2:0), 18.4 (4:4:4), 18.6 (A) | 25.3 (10 bits), 26.2 (12)     |
 * | TIFF   | 0.7 to 0.9                           | 1.6; float and Lab 4.1        |
 * | GIF    | 4.8                                  |                               |
 * | SVG    | 0.1 in bands; with a filter 31.6     |                               |
 *
 * Only AVIF is decoded whole whatever the file says. What an image takes beyond this is its own doing, and shows while
 * it is worked on.
 */
const DECODE_BYTES: Readonly<Record<OutputFormat | 'svg', readonly [shallow: number, deep: number]>> = {
  jpeg: [0.1, 0.1],
  png: [0.6, 1.6],
  webp: [0.5, 0.5],
  avif: [15.3, 25.3],
  tiff: [0.7, 1.6],
  gif: [4.8, 4.8],
  svg: [0.1, 0.1],
};

/** The process before its first image: Node, the image library and the filters. */
const IDLE_BYTES = 80 * MEBIBYTE;

/** The pixels of a format beyond which decoding alone takes more than the memory there is. */
export function decodablePixels(format: OutputFormat | 'svg', isDeep: boolean, memoryBytes: number): number {
  return Math.floor((memoryBytes - IDLE_BYTES) / DECODE_BYTES[format][isDeep ? 1 : 0]);
}

/**
 * What filtering an 8-bit photo takes at the most, decoded, filtered and encoded as JPEG: the `sharpen` filter with a
 * radius 9.5, blur and tone 6.4 to 7.4, rotation 7.7, edges 4.4 (noise: 8.1). Transparent and 16-bit images take 12.6 and 24.9.
 */
const PHOTO_BYTES = 10;
/** The process, its input and its result. */
const PROCESS_BYTES = 128 * MEBIBYTE;

/** Memory with which photos of so many pixels can be filtered. */
export function photoMemory(pixels: number): number {
  return PROCESS_BYTES + pixels * PHOTO_BYTES;
}

/** A process with less memory than this takes is of no use. */
export const LEAST_PIXELS = 1_000_000;

/** Pixels of the largest photo that can be filtered within so much memory; below 0 when not even the process fits. */
export function photoPixels(memoryBytes: number): number {
  return Math.floor((memoryBytes - PROCESS_BYTES) / PHOTO_BYTES);
}
