/** Reads a pipeline as 8-bit colour with alpha, whatever it is made of. */
import type { Sharp } from 'sharp';

/** Straight 8-bit red, green, blue and alpha, row by row. */
export interface Rgba {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}

/** Runs a pipeline and reads its result; grey becomes colour, opaque images get full alpha, 16 bits become 8. */
export async function readRgba(pipeline: Sharp): Promise<Rgba> {
  const raw = pipeline.toColourspace('srgb').ensureAlpha().raw();
  const { data, info } = await raw.toBuffer({ resolveWithObject: true });
  const samples = new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
  return { data: samples, width: info.width, height: info.height };
}
