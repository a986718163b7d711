import sharp, { type ResizeOptions, type Sharp } from 'sharp';
import { z } from 'zod';
import { defineFilter, type Image } from '../runtime/filter.ts';
import { COMPASS, colour, TRANSPARENT, WHITE } from '../runtime/filter-params.ts';
import { isGrey } from '../runtime/image/kernels/channels.ts';
import { enlarge as enlargePixels } from '../runtime/image/kernels/enlarge.ts';

const side = z.int().min(1).max(65_535).optional();

type Params = z.output<typeof params>;

const params = z
  .strictObject({
    width: side.describe('Width of the result, pixels; follows from the height when absent'),
    height: side.describe('Height of the result, pixels; follows from the width when absent'),
    fit: z
      .enum(['cover', 'contain', 'fill', 'inside', 'outside'])
      .default('cover')
      .describe(
        'How to fill width × height: cut off (cover), pad (contain), distort (fill), or fit the whole image inside or outside',
      ),
    position: z
      .enum([...COMPASS, 'attention', 'entropy'])
      .default('centre')
      .describe(
        'What cover keeps and where contain puts the image; attention and entropy look for what matters',
      ),
    enlarge: z.boolean().default(false).describe('Whether a smaller image is made larger'),
    background: colour
      .optional()
      .describe('Padding of contain (default transparent where the image has alpha, else white)'),
  })
  .refine(({ width, height }) => width !== undefined || height !== undefined, {
    path: ['width'],
    message: 'expected width, height or both',
  })
  .refine(({ fit, position }) => fit === 'cover' || !['attention', 'entropy'].includes(position), {
    path: ['position'],
    message: 'attention and entropy choose what to cut off, so they need fit cover',
  });

export default defineFilter({
  summary: 'Changes the size, by cutting, padding, distorting or fitting.',
  params,
  async apply(image, given) {
    const { width, height, position, enlarge } = given;
    const fit = effectiveFit(given);
    const background = given.background ?? (image.hasAlpha ? TRANSPARENT : WHITE);
    const options: ResizeOptions = { width, height, fit, position, withoutEnlargement: !enlarge, background };
    const padsGreyWithColour =
      image.channels < 3 && fit === 'contain' && background.alpha > 0 && !isGrey(background);
    const pipeline = await scaledPipeline(image, given);
    if (!padsGreyWithColour) return pipeline.resize(options);
    const space = image.bits === 16 ? 'rgb16' : 'srgb';
    return pipeline.pipelineColourspace(space).toColourspace(space).resize(options);
  },
  forecast(image, given) {
    const { width, height, background, enlarge } = given;
    const fit = effectiveFit(given);
    const scaled = scaledSize(image, given);
    const addsAlpha = fit === 'contain' && (background?.alpha ?? 1) < 1;
    if (fit !== 'contain' && fit !== 'cover') return { ...scaled, addsAlpha };
    const frame = { width: width ?? scaled.width, height: height ?? scaled.height, addsAlpha };
    if (enlarge || fit === 'contain') return frame;
    return {
      ...frame,
      width: Math.min(frame.width, scaled.width),
      height: Math.min(frame.height, scaled.height),
    };
  },
});

/** With one side given there is nothing to cut, pad or distort: the other follows. */
function effectiveFit({ width, height, fit }: Params): Params['fit'] {
  return width === undefined || height === undefined ? 'inside' : fit;
}

/** The image, enlarged already where it must be; the library then only shrinks, cuts and pads. */
async function scaledPipeline(image: Image, given: Params): Promise<Sharp> {
  const { width, height } = scaledSize(image, given);
  if (width <= image.width && height <= image.height) return image.pipeline();
  const { data, channels } = enlargePixels(await image.pixels(), width, height);
  const grey = image.bits === 16 ? 'grey16' : 'b-w';
  const colour = image.bits === 16 ? 'rgb16' : 'srgb';
  return sharp(data, { raw: { width, height, channels } }).toColourspace(channels < 3 ? grey : colour);
}

/** The size of the whole image before it is cut or padded. */
function scaledSize(
  image: Image,
  { width, height, fit, enlarge }: Params,
): { width: number; height: number } {
  const across = width === undefined ? undefined : width / image.width;
  const down = height === undefined ? undefined : height / image.height;
  const least = Math.min(across ?? Number.POSITIVE_INFINITY, down ?? Number.POSITIVE_INFINITY);
  const most = Math.max(across ?? 0, down ?? 0);
  const even = fit === 'cover' || fit === 'outside' ? most : least;
  const size = (side: number, scale: number) =>
    Math.max(1, Math.round(side * (enlarge ? scale : Math.min(1, scale))));
  const [x, y] = fit === 'fill' ? [across ?? 1, down ?? 1] : [even, even];
  return { width: size(image.width, x), height: size(image.height, y) };
}
