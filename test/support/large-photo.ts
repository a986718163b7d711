/** A real photo of twelve megapixels, for benchmarks and memory tests. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import type { Pixels } from '../../runtime/filter.ts';

/** The shipped photo that it is cut from: 5312 × 2988, CC0. */
export const LARGE_PHOTO_PATH = fileURLToPath(new URL('../fixtures/photos/dandelions.jpg', import.meta.url));

/** 4016 × 2988 pixels of 8-bit RGB, 12.0 megapixels. */
export async function largePhoto(): Promise<Pixels & { data: Uint8Array }> {
  const { data, info } = await sharp(await readFile(LARGE_PHOTO_PATH))
    .extract({ left: 0, top: 0, width: 4016, height: 2988 })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: 3 };
}

/** The same as a JPEG of quality 90. */
export async function largePhotoJpeg(): Promise<Buffer> {
  const { data, width, height, channels } = await largePhoto();
  return await sharp(data, { raw: { width, height, channels } }).jpeg({ quality: 90 }).toBuffer();
}
