import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { mirror } from './kernels/mirror.ts';

export default defineFilter({
  summary: 'Mirrors the image; every pixel is kept.',
  cost: 'light',
  params: z.strictObject({
    direction: z
      .enum(['horizontal', 'vertical', 'both'])
      .default('horizontal')
      .describe('horizontal swaps left and right, vertical top and bottom'),
  }),
  async apply(image, { direction }) {
    const across = direction !== 'vertical';
    const down = direction !== 'horizontal';
    return image.isDecoded
      ? mirror(await image.pixels(), across, down)
      : image.pipeline().flop(across).flip(down);
  },
});
