import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { gaussianBlur } from './kernels/gaussian-blur.ts';

export default defineFilter({
  summary: 'Blurs with a Gaussian; the cost does not grow with the radius.',
  params: z.strictObject({
    radius: z
      .number()
      .min(0)
      .max(1000)
      .describe('Standard deviation of the Gaussian, pixels; 0 changes nothing'),
  }),
  apply: async (image, { radius }) => gaussianBlur(await image.pixels(), radius),
});
