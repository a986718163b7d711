import { z } from 'zod';
import { defineFilter, type Image } from '../runtime/filter.ts';
import { compass, place } from '../runtime/filter-params.ts';
import { type Mark, overlay, type Spot } from '../runtime/image/kernels/overlay.ts';

const params = z.strictObject({
  image: z
    .string()
    .min(1)
    .max(4096)
    .describe('The mark: a key in the storage, or what else a task may name as its input'),
  position: compass.default('southeast').describe('Where the mark lies; where tiling starts from'),
  opacity: z.number().min(0).max(1).default(1).describe('0 is invisible, 1 leaves the mark as it is'),
  scale: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe(
      "Size of the mark, as a share of the image's sides (default its own size, made smaller only if it does not fit)",
    ),
  margin: z
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe('Distance from the edges, and between tiles, pixels'),
  tile: z.boolean().default(false).describe('Whether the mark is repeated over the whole image'),
});

export default defineFilter({
  summary: 'Lays a second image over this one.',
  params,
  async apply(image, { image: input, position, opacity, scale, margin, tile }, context) {
    const mark = await fitMark(await context.load(input), image, scale);
    const spot = place(position, mark, image, margin);
    const spots = tile ? tiles(spot, mark, image, margin) : [spot];
    return overlay(await image.pixels(), mark, spots, opacity);
  },
});

/** The mark in the size it will have, as 8-bit RGBA. */
async function fitMark(mark: Image, image: Image, scale: number | undefined): Promise<Mark> {
  const share = scale ?? 1;
  const width = Math.max(1, Math.round(image.width * share));
  const height = Math.max(1, Math.round(image.height * share));
  const fitted = mark
    .pipeline()
    .resize({ width, height, fit: 'inside', withoutEnlargement: scale === undefined });
  const { data, info } = await fitted
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Every spot, a mark and a margin apart from the first one, that touches the image. */
function tiles(first: Spot, mark: Mark, image: Image, margin: number): Spot[] {
  const starts = (from: number, step: number, length: number) => {
    const start = (((from % step) + step) % step) - step;
    return Array.from({ length: Math.ceil((length - start) / step) }, (_, index) => start + index * step);
  };
  const lefts = starts(first.left, mark.width + margin, image.width);
  return starts(first.top, mark.height + margin, image.height).flatMap((top) =>
    lefts.map((left) => ({ left, top })),
  );
}
