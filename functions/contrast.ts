import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { contrast } from './kernels/enhance.ts';

export default defineFilter({
  summary:
    "Moves colours away from or towards the mean grey, as Pillow's ImageEnhance.Contrast; alpha is kept.",
  cost: 'light',
  params: z.strictObject({
    factor: z.number().min(0).max(100).describe('1 changes nothing, 0 is plain grey, 2 doubles the contrast'),
  }),
  apply: async (image, { factor }) => contrast(await image.pixels(), factor),
});
