/** The bounds within which images are decoded, filtered and encoded. */

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
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_LIMITS: Readonly<ImageLimits> = {
  inputBytes: 25 * MEBIBYTE,
  pixels: 50_000_000,
  frames: 100,
  outputPixels: 50_000_000,
  svg: false,
};
