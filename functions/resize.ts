import sharp, { type Sharp } from 'sharp';
import { z } from 'zod';
import { defineFilter, type Image } from '../runtime/filter.ts';
import { COMPASS, colour, TRANSPARENT, WHITE } from '../runtime/filter-params.ts';
import { enlarge } from './kernels/enlarge.ts';
import { isGrey } from './kernels/samples.ts';

const FITS = ['cover', 'contain', 'fill', 'inside', 'outside'] as const;
const side = z.int().min(1).max(65_535).optional();

const params = z
  .strictObject({
    width: side.describe('Width of the result, pixels; follows from the height when absent'),
    height: side.describe('Height of the result, pixels; follows from the width when absent'),
    fit: z
      .enum(FITS)
      .default('cover')
      .describe(
        'Cut off (cover), pad (contain), distort (fill), or fit all of it inside or outside the size',
      ),
    position: z
      .enum([...COMPASS, 'attention', 'entropy'])
      .default('centre')
      .describe('What cover keeps, where contain puts it; attention and entropy find what matters'),
    enlarge: z.boolean().default(false).describe('Whether a smaller image is made larger'),
    background: colour
      .optional()
      .describe('Padding (default transparent where the image has alpha, else white)'),
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
  cost: 'light',
  params,
  async apply(image, given) {
    const { width, height, position } = given;
    const fit = effectiveFit(given);
    const background = given.background ?? (image.hasAlpha ? TRANSPARENT : WHITE);
    const options = { width, height, fit, position, withoutEnlargement: !given.enlarge, background };
    const pipeline = await fittingPipeline(image, given);
    const coloursGrey =
      image.channels < 3 && fit === 'contain' && background.alpha > 0 && !isGrey(background);
    if (!coloursGrey) return pipeline.resize(options);
    const space = image.bits === 16 ? 'rgb16' : 'srgb';
    return pipeline.pipelineColourspace(space).toColourspace(space).resize(options);
  },
  forecast(image, given) {
    const addsAlpha = effectiveFit(given) === 'contain' && (given.background?.alpha ?? 1) < 1;
    return { ...fittedSize(image, given), addsAlpha };
  },
});

type Fitting = Pick<z.output<typeof params>, 'width' | 'height' | 'fit' | 'enlarge'>;

interface Size {
  width: number;
  height: number;
}

/** With one side given there is nothing to cut, pad or distort: the other follows. */
function effectiveFit({ width, height, fit }: Fitting): Fitting['fit'] {
  return width === undefined || height === undefined ? 'inside' : fit;
}

/** The size of the result. */
function fittedSize(image: Size, fitting: Fitting): Size {
  const scaled = scaledSize(image, fitting);
  const fit = effectiveFit(fitting);
  if (fit !== 'cover' && fit !== 'contain') return scaled;
  const frame = { width: fitting.width ?? scaled.width, height: fitting.height ?? scaled.height };
  if (fit === 'contain') return frame;
  return { width: Math.min(frame.width, scaled.width), height: Math.min(frame.height, scaled.height) };
}

/**
 * A pipeline over the image that the library's `resize` only has to shrink, cut or pad. What must grow is
 * enlarged first: the library's own enlarging is half a pixel off.
 */
async function fittingPipeline(image: Image, fitting: Fitting): Promise<Sharp> {
  const { width, height } = scaledSize(image, fitting);
  if (width <= image.width && height <= image.height) return image.pipeline();
  const { data, channels } = enlarge(await image.pixels(), width, height);
  const grey = image.bits === 16 ? 'grey16' : 'b-w';
  const colour = image.bits === 16 ? 'rgb16' : 'srgb';
  return sharp(data, { raw: { width, height, channels } }).toColourspace(channels < 3 ? grey : colour);
}

/** The size of the whole image before it is cut or padded. */
function scaledSize(image: Size, fitting: Fitting): Size {
  const { width, height } = fitting;
  const fit = effectiveFit(fitting);
  const across = width === undefined ? undefined : width / image.width;
  const down = height === undefined ? undefined : height / image.height;
  const least = Math.min(across ?? Number.POSITIVE_INFINITY, down ?? Number.POSITIVE_INFINITY);
  const most = Math.max(across ?? 0, down ?? 0);
  const even = fit === 'cover' || fit === 'outside' ? most : least;
  const cap = (scale: number) => (fitting.enlarge ? scale : Math.min(1, scale));
  const size = (side: number, scale: number) => Math.max(1, Math.round(side * cap(scale)));
  const [x, y] = fit === 'fill' ? [across ?? 1, down ?? 1] : [even, even];
  return { width: size(image.width, x), height: size(image.height, y) };
}
