import { z } from 'zod';
import { defineFilter, type Image } from '../runtime/filter.ts';
import { COMPASS, colour, TRANSPARENT, WHITE } from '../runtime/filter-params.ts';
import { isGrey } from '../runtime/image/kernels/channels.ts';

const side = z.int().min(1).max(65_535).optional();

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
  apply(image, { width, height, fit, position, enlarge, background }) {
    const behind = background ?? (image.hasAlpha ? TRANSPARENT : WHITE);
    const colourful = image.channels < 3 && fit === 'contain' && behind.alpha > 0 && !isGrey(behind);
    const space = image.bits === 16 ? 'rgb16' : 'srgb';
    const pipeline = colourful
      ? image.pipeline().pipelineColourspace(space).toColourspace(space)
      : image.pipeline();
    return pipeline.resize({
      width,
      height,
      fit,
      position,
      withoutEnlargement: !enlarge,
      background: behind,
    });
  },
  forecast(image, { width, height, fit, enlarge, background }) {
    const addsAlpha = fit === 'contain' && (background?.alpha ?? 1) < 1;
    return { ...forecastSize(image, fit, width, height, enlarge), addsAlpha };
  },
});

function forecastSize(
  image: Image,
  fit: string,
  width: number | undefined,
  height: number | undefined,
  enlarge: boolean,
) {
  const scaleX = (width ?? Number.NaN) / image.width;
  const scaleY = (height ?? Number.NaN) / image.height;
  const both = width !== undefined && height !== undefined;
  const cap = (scale: number) => (enlarge ? scale : Math.min(1, scale));
  if (both && fit !== 'inside' && fit !== 'outside') {
    const whole = enlarge || fit === 'contain';
    return whole
      ? { width, height }
      : { width: Math.min(width, image.width), height: Math.min(height, image.height) };
  }
  const scale = cap(both ? Math[fit === 'inside' ? 'min' : 'max'](scaleX, scaleY) : scaleX || scaleY);
  return { width: Math.round(image.width * scale), height: Math.round(image.height * scale) };
}
