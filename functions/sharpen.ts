import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { sharpness } from './kernels/sharpness.ts';
import { unsharpMask } from './kernels/unsharp.ts';

const params = z
  .strictObject({
    factor: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .describe(
        'As in ImageEnhance.Sharpness: 1 changes nothing, 0 smooths, 2 sharpens. Not together with the others',
      ),
    radius: z
      .number()
      .min(0)
      .max(1000)
      .optional()
      .describe('Unsharp mask: standard deviation of the blur, pixels (default 2)'),
    amount: z.number().min(0).max(1000).optional().describe('Unsharp mask: strength, percent (default 150)'),
    threshold: z
      .number()
      .min(0)
      .max(255)
      .optional()
      .describe('Unsharp mask: least difference that is sharpened, levels of 255 (default 3)'),
  })
  .refine(
    ({ factor, ...mask }) =>
      factor === undefined || Object.values(mask).every((value) => value === undefined),
    {
      path: ['factor'],
      message: 'expected either factor, or radius, amount and threshold, got both',
    },
  )
  .refine((given) => Object.values(given).some((value) => value !== undefined), {
    path: ['factor'],
    message: 'expected factor, or one or more of radius, amount and threshold',
  });

export default defineFilter({
  summary:
    "Sharpens, by a factor as Pillow's ImageEnhance.Sharpness or by a mask as its UnsharpMask; alpha is kept.",
  params,
  async apply(image, { factor, radius = 2, amount = 150, threshold = 3 }) {
    const pixels = await image.pixels();
    return factor === undefined
      ? unsharpMask(pixels, { radius, amount, threshold })
      : sharpness(pixels, factor);
  },
});
