import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { COMPASS, colour, TRANSPARENT, WHITE } from '../runtime/filter-params.ts';
import { effectiveFit, FITS, fittedSize, fittingPipeline } from './kernels/fit.ts';
import { isGrey } from './kernels/samples.ts';

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
  params,
  async apply(image, given) {
    const { width, height, position, enlarge } = given;
    const fit = effectiveFit(given);
    const background = given.background ?? (image.hasAlpha ? TRANSPARENT : WHITE);
    const options = { width, height, fit, position, withoutEnlargement: !enlarge, background };
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
