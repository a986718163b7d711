import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';

export default defineFilter({
  summary: 'Mirrors the image; every pixel is kept.',
  params: z.strictObject({
    direction: z
      .enum(['horizontal', 'vertical', 'both'])
      .default('horizontal')
      .describe('horizontal swaps left and right, vertical top and bottom'),
  }),
  apply: (image, { direction }) =>
    image
      .pipeline()
      .flop(direction !== 'vertical')
      .flip(direction !== 'horizontal'),
});
