import { encode } from 'blurhash';
import sharp from 'sharp';
import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';

/** Longest side of the thumbnails that are looked at, pixels: enough for colours, quick at any size. */
const COLOUR_SIDE = 256;
const BLURHASH_SIDE = 64;

export default defineFilter({
  returns: 'json',
  summary: 'Tells what the image is: size, format, colours, orientation, frames, dominant colour, BlurHash.',
  params: z.strictObject({
    blurhashX: z.int().min(1).max(9).default(4).describe('Detail of the BlurHash from left to right'),
    blurhashY: z.int().min(1).max(9).default(3).describe('Detail of the BlurHash from top to bottom'),
  }),
  async apply(image, { blurhashX, blurhashY }) {
    const thumbnail = (side: number) =>
      image
        .pipeline()
        .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
        .toColourspace('srgb')
        .ensureAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
    const { data, info } = await thumbnail(COLOUR_SIDE);
    const { dominant } = await sharp(data, {
      raw: { width: info.width, height: info.height, channels: 4 },
    }).stats();
    const small = await thumbnail(BLURHASH_SIDE);
    const hash = encode(
      new Uint8ClampedArray(small.data),
      small.info.width,
      small.info.height,
      blurhashX,
      blurhashY,
    );
    const { width, height, hasAlpha, source } = image;
    const colour = [dominant.r, dominant.g, dominant.b]
      .map((level) => level.toString(16).padStart(2, '0'))
      .join('');
    const { format, bytes, space, channels, depth, orientation, frames, density, hasProfile } = source;
    return {
      width,
      height,
      format,
      bytes,
      space,
      channels,
      depth,
      hasAlpha,
      orientation,
      frames,
      density,
      hasProfile,
      dominantColour: `#${colour}`,
      blurHash: hash,
    };
  },
});
