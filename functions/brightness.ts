import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { brightness } from './kernels/enhance.ts';

export default defineFilter({
  summary:
    "Multiplies every colour by a factor, bit for bit as Pillow's ImageEnhance.Brightness; alpha is kept.",
  cost: 'light',
  params: z.strictObject({
    factor: z.number().min(0).max(100).describe('1 changes nothing, 0 is black, 2 is twice as bright'),
  }),
  apply: async (image, { factor }) => brightness(await image.pixels(), factor),
});
