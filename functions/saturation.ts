import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { saturation } from './kernels/enhance.ts';

export default defineFilter({
  summary: "Makes colours stronger or weaker, as Pillow's ImageEnhance.Color; alpha is kept.",
  cost: 'light',
  params: z.strictObject({
    factor: z.number().min(0).max(100).describe('1 changes nothing, 0 is grey, 2 doubles the saturation'),
  }),
  apply: async (image, { factor }) => saturation(await image.pixels(), factor),
});
