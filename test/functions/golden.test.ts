/** Every filter against what Pillow, OpenCV and scikit-image make of the same images. */
import { describe, expect, it } from 'vitest';
import type { Pixels } from '../../runtime/filter.ts';
import { DEFAULT_LIMITS } from '../../runtime/image/limits.ts';
import { decodeFile, filterPixels } from '../support/filters.ts';
import { GOLDEN_CASES, type GoldenCase, readGolden, readPixels, shortfall } from '../support/golden.ts';

const LIMITS = { ...DEFAULT_LIMITS, svg: true };

describe.each(Object.entries(Object.groupBy(GOLDEN_CASES, ({ filter }) => filter)))(
  '%s',
  (_filter, cases = []) => {
    it.each(cases)('gives what $madeBy gives: $name', async (golden) => {
      const result = await filtered(golden);

      const reference = await readPixels(golden.reference);
      expect(shortfall(golden, result, reference)).toBeUndefined();
    });
  },
);

async function filtered({
  filter,
  params,
  input,
  inputs = {},
  ignoreOpaqueAlpha,
}: GoldenCase): Promise<Pixels> {
  const image = await decodeFile(readGolden(input), LIMITS);
  const further = Object.entries(inputs).map(
    async ([name, path]) => [name, await decodeFile(readGolden(path))] as const,
  );
  const run = { inputs: Object.fromEntries(await Promise.all(further)), limits: LIMITS };
  const result = await filterPixels(filter, image, params, run);
  return ignoreOpaqueAlpha ? withoutOpaqueAlpha(result) : result;
}

function withoutOpaqueAlpha(pixels: Pixels): Pixels {
  if (pixels.channels !== 4) return pixels;
  expect(pixels.data.every((sample, i) => i % 4 !== 3 || sample === 255)).toBe(true);
  return { ...pixels, data: pixels.data.filter((_, i) => i % 4 !== 3), channels: 3 };
}
