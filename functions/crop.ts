import { z } from 'zod';
import { Rejection } from '../runtime/errors.ts';
import { defineFilter, type Image } from '../runtime/filter.ts';

const params = z
  .strictObject({
    left: z.number().min(0).default(0).describe('Distance from the left edge'),
    top: z.number().min(0).default(0).describe('Distance from the top edge'),
    width: z.number().positive().optional().describe('Width of the part (default up to the right edge)'),
    height: z.number().positive().optional().describe('Height of the part (default down to the bottom edge)'),
    unit: z
      .enum(['pixels', 'percent'])
      .default('pixels')
      .describe('What the numbers count: pixels, or percent of the upright image'),
  })
  .superRefine(({ unit, ...box }, context) => {
    for (const [side, value] of Object.entries(box)) {
      if (unit === 'pixels' && !Number.isInteger(value))
        context.addIssue({
          code: 'custom',
          path: [side],
          message: `expected a whole number of pixels, got ${value}`,
        });
    }
  });

export default defineFilter({
  summary: 'Cuts out a part; every pixel of it is kept.',
  cost: 'light',
  params,
  apply: (image, box) => image.pipeline().extract(inPixels(image, box)),
});

function inPixels(image: Image, { left, top, width, height, unit }: z.output<typeof params>) {
  const across = unit === 'percent' ? image.width / 100 : 1;
  const down = unit === 'percent' ? image.height / 100 : 1;
  const start = { left: Math.round(left * across), top: Math.round(top * down) };
  const right = width === undefined ? image.width : Math.round((left + width) * across);
  const bottom = height === undefined ? image.height : Math.round((top + height) * down);
  const box = { ...start, width: right - start.left, height: bottom - start.top };
  if (box.width >= 1 && box.height >= 1 && right <= image.width && bottom <= image.height) return box;
  throw new Rejection(
    `crop: expected a part of the image, which has ${image.width} × ${image.height} pixels, got ${box.width} × ${box.height} from ${box.left}, ${box.top}.`,
    { failureType: 'invalid-params' },
  );
}
