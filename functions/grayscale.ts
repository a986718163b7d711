import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { grayscale } from './kernels/grayscale.ts';

export default defineFilter({
  summary: 'Grey by the luma of Rec. 601, bit for bit as Pillow\'s "L"; alpha is kept.',
  cost: 'light',
  params: z.strictObject({}),
  apply: async (image) => grayscale(await image.pixels()),
});
