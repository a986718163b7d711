import { z } from 'zod';
import { defineFilter, type Image } from '../runtime/filter.ts';
import { compass, placeBox } from '../runtime/filter-params.ts';
import { overlay, tiled } from './kernels/overlay.ts';
import { type Rgba, readRgba } from './kernels/rgba.ts';

const input = z.string('a storage key, or what else a task may name as its input').min(1).max(4096);
const share = z.number().positive().max(1);

export default defineFilter({
  summary: 'Lays a second image over this one.',
  cost: 'light',
  params: z.strictObject({
    image: input.describe('The mark: a storage key, or what else a task may name as its input'),
    position: compass.default('southeast').describe('Where the mark lies, and where tiling starts'),
    opacity: z.number().min(0).max(1).default(1).describe('0 is invisible, 1 leaves the mark as it is'),
    scale: share.optional().describe("Size as a share of the image's sides (default its own, if it fits)"),
    margin: z.int().min(0).max(65_535).default(0).describe('Pixels from the edges, and between tiles'),
    tile: z.boolean().default(false).describe('Whether the mark is repeated over the whole image'),
  }),
  async apply(image, { image: input, position, opacity, scale, margin, tile }, context) {
    const mark = await fitMark(await context.load(input), image, scale);
    const spot = placeBox(position, mark, image, margin);
    const spots = tile ? tiled(spot, mark, image, margin) : [spot];
    return overlay(await image.ownPixels(), mark, spots, opacity);
  },
});

function fitMark(mark: Image, image: Image, scale: number | undefined): Promise<Rgba> {
  const side = (length: number) => Math.max(1, Math.round(length * (scale ?? 1)));
  const size = { width: side(image.width), height: side(image.height) };
  return readRgba(
    mark.pipeline().resize({ ...size, fit: 'inside', withoutEnlargement: scale === undefined }),
  );
}
