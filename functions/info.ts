import { encode } from 'blurhash';
import sharp from 'sharp';
import { z } from 'zod';
import { defineFilter, type Image } from '../runtime/filter.ts';
import { type Rgba, readRgba } from './kernels/rgba.ts';

/** Longest sides of the thumbnails that are looked at, pixels: enough for colours, quick at any size. */
const COLOUR_SIDE = 256;
const BLURHASH_SIDE = 64;

export default defineFilter({
  returns: 'json',
  summary: 'Tells what the image is: size, format, colours, orientation, frames, dominant colour, BlurHash.',
  cost: 'light',
  params: z.strictObject({
    blurhashX: z.int().min(1).max(9).default(4).describe('Detail of the BlurHash from left to right'),
    blurhashY: z.int().min(1).max(9).default(3).describe('Detail of the BlurHash from top to bottom'),
  }),
  async apply(image, { blurhashX, blurhashY }) {
    const small = await thumbnail(image, BLURHASH_SIDE);
    return {
      ...image.source,
      // As the image is seen, not as it is stored.
      width: image.width,
      height: image.height,
      dominantColour: await dominantColour(await thumbnail(image, COLOUR_SIDE)),
      blurHash: encode(small.data, small.width, small.height, blurhashX, blurhashY),
    };
  },
});

function thumbnail(image: Image, side: number): Promise<Rgba> {
  return readRgba(
    image.pipeline().resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true }),
  );
}

async function dominantColour({ data, width, height }: Rgba): Promise<string> {
  const { dominant } = await sharp(data, { raw: { width, height, channels: 4 } }).stats();
  const hex = (level: number) => level.toString(16).padStart(2, '0');
  return `#${hex(dominant.r)}${hex(dominant.g)}${hex(dominant.b)}`;
}
