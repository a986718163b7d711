/** Whether an image is decoded yet, and samples of it that may be written to. */
import type { Image, Pixels } from '../../runtime/filter.ts';
import { roomFor } from './memory.ts';

/** What can be done with an image that is still encoded. */
interface Decoder {
  decodeAnew(): Promise<Pixels>;
  /** Frees what `image.pixels()` gave; it would be decoded anew. */
  forget(): Promise<void>;
}

const decoders = new WeakMap<Image, Decoder>();

export function setDecoder(image: Image, decoder: Decoder): void {
  decoders.set(image, decoder);
}

/** Whether the image's samples lie in memory, so that a pipeline over it would only copy them. */
export function isDecoded(image: Image): boolean {
  return !decoders.has(image);
}

/** The image's samples, for the caller to write to: decoded anew, or a copy. */
export async function ownPixels(image: Image): Promise<Pixels> {
  const decoder = decoders.get(image);
  if (decoder !== undefined) return decoder.decodeAnew();
  const pixels = await image.pixels();
  const data = roomFor(pixels.data, pixels.data.length);
  data.set(pixels.data);
  return { ...pixels, data };
}

/** Frees the samples that were decoded for a step which is done. They can still be asked for again. */
export async function forgetPixels(image: Image): Promise<void> {
  await decoders.get(image)?.forget();
}
