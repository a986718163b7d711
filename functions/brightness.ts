import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';

export default defineFilter({
  summary:
    "Multiplies every colour by a factor, bit for bit as Pillow's ImageEnhance.Brightness; alpha is kept.",
  params: z.strictObject({
    factor: z.number().min(0).max(100).describe('1 changes nothing, 0 is black, 2 is twice as bright'),
  }),
  apply: (image, { factor }) => image.pipeline().linear(factor, 0),
});
