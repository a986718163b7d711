/** Whether an image is decoded yet, and samples of it that may be written to. */
import type { Image, Pixels } from '../../filter.ts';

const decoders = new WeakMap<Image, () => Promise<Pixels>>();

/** Says how an image that is still encoded is decoded anew. */
export function setDecoder(image: Image, decodeAnew: () => Promise<Pixels>): void {
  decoders.set(image, decodeAnew);
}

/** Whether the image's samples lie in memory, so that a pipeline over it would only copy them. */
export function isDecoded(image: Image): boolean {
  return !decoders.has(image);
}

/** The image's samples, for the caller to write to: decoded anew, or a copy. */
export async function ownPixels(image: Image): Promise<Pixels> {
  const decodeAnew = decoders.get(image);
  if (decodeAnew !== undefined) return decodeAnew();
  const pixels = await image.pixels();
  return { ...pixels, data: pixels.data.slice() };
}
