import { z } from 'zod';
import { defineFilter } from '../runtime/filter.ts';
import { canny } from './kernels/canny.ts';
import { laplacian, sobel } from './kernels/gradients.ts';

const threshold = z.number().min(0).max(2040);

const params = z
  .strictObject({
    method: z
      .enum(['canny', 'sobel', 'laplacian'])
      .default('canny')
      .describe('canny: thin lines, black and white; sobel and laplacian: strength of the change'),
    low: threshold
      .optional()
      .describe(
        'canny: a weaker edge counts from this gradient on where it touches a strong one (default 100)',
      ),
    high: threshold.optional().describe('canny: an edge is strong from this gradient on (default 200)'),
    l2: z
      .boolean()
      .optional()
      .describe('canny: measures the gradient as √(x² + y²), not |x| + |y| (default false)'),
    direction: z
      .enum(['both', 'x', 'y'])
      .optional()
      .describe('sobel: x finds upright edges, y level ones (default both)'),
  })
  .superRefine(({ method, ...rest }, context) => {
    for (const [option, value] of Object.entries(rest)) {
      const of = option === 'direction' ? 'sobel' : 'canny';
      if (value !== undefined && of !== method)
        context.addIssue({
          code: 'custom',
          path: [option],
          message: `only ${of} takes it, the method is ${method}`,
        });
    }
    const { low = 100, high = 200 } = rest;
    if (method === 'canny' && low > high)
      context.addIssue({
        code: 'custom',
        path: ['low'],
        message: `expected at most high (${high}), got ${low}`,
      });
  });

export default defineFilter({
  summary:
    "Finds edges: Canny pixel for pixel as OpenCV's, Sobel and Laplacian from signed gradients; the result is grey.",
  cost: 'light',
  params,
  async apply(image, { method, low = 100, high = 200, l2 = false, direction = 'both' }) {
    const pixels = await image.pixels();
    if (method === 'canny') return canny(pixels, { low, high, l2 });
    return method === 'sobel' ? sobel(pixels, direction) : laplacian(pixels);
  },
});
