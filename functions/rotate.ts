import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { colour, TRANSPARENT, WHITE } from '../runtime/filter-params.ts';
import { rotate, rotatedSize } from './kernels/rotate.ts';

export default defineFilter({
  summary: 'Turns clockwise around the centre; the canvas grows to hold all of the image.',
  params: z.strictObject({
    angle: z
      .number()
      .min(-360)
      .max(360)
      .describe('Degrees clockwise; multiples of 90 keep every pixel as it is'),
    background: colour
      .optional()
      .describe('Colour of the corners (default transparent where the image has alpha, else white)'),
  }),
  async apply(image, { angle, background }) {
    if (angle % 90 === 0) return image.pipeline().rotate(angle);
    return rotate(await image.pixels(), angle, background ?? (image.hasAlpha ? TRANSPARENT : WHITE));
  },
  forecast: (image, { angle }) => rotatedSize(image, angle),
});
