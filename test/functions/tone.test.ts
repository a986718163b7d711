import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxDiff } from '../support/compare.ts';
import { filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { KINDS, picture } from '../support/pictures.ts';

const kinds = fc.constantFrom(...KINDS);
const alphaOf = ({ data, channels }: { data: ArrayLike<number>; channels: number }) =>
  channels % 2 === 0 ? Array.from(data).filter((_, i) => i % channels === channels - 1) : [];

describe.each(['brightness', 'contrast', 'saturation', 'sharpen'])('%s', (filter) => {
  it.each(KINDS)('changes nothing at factor 1: $name', async (kind) => {
    const original = picture(kind);
    expect(maxDiff(await filterPixels(filter, imageOf(original), { factor: 1 }), original)).toBe(0);
  });

  it('keeps the alpha at any factor', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, fc.double({ min: 0, max: 5, noNaN: true }), async (kind, factor) => {
        const original = picture(kind);
        const result = await filterPixels(filter, imageOf(original), { factor });
        expect(alphaOf(result)).toEqual(alphaOf(original));
      }),
      { numRuns: 30 },
    );
  });

  it('does not write to the image that it was given', async () => {
    const original = picture();
    const before = original.data.slice();
    await filterPixels(filter, imageOf(original), { factor: 2 });
    expect(original.data).toEqual(before);
  });

  it('refuses a factor out of range or missing', async () => {
    const run = (params: Record<string, unknown>) => runFilter(filter, imageOf(picture()), params);
    await expect(run({ factor: -1 })).rejects.toThrow(
      'params.factor: expected a number from 0 to 100, got -1',
    );
    await expect(run({})).rejects.toThrow('params.factor: expected');
  });
});

describe('brightness', () => {
  it('multiplies and truncates, in every channel but alpha', async () => {
    const levels = Uint8Array.from([0, 1, 3, 100, 127, 200, 254, 255, 77]);
    const result = await filterPixels(
      'brightness',
      imageOf({ data: levels, width: 3, height: 1, channels: 3 }),
      { factor: 1.3 },
    );
    expect([...result.data]).toEqual(
      [...levels].map((level) => Math.min(255, Math.trunc(Math.fround(Math.fround(1.3) * level)))),
    );
  });
});

describe('saturation', () => {
  it('gives the grey of grayscale at 0', async () => {
    const image = imageOf(picture());
    const plain = await filterPixels('saturation', image, { factor: 0 });
    const grey = await filterPixels('grayscale', image);
    expect([...plain.data]).toEqual([...grey.data].flatMap((level) => [level, level, level]));
  });
});

describe('sharpen', () => {
  it('takes the factor or the mask, not both', async () => {
    const both = runFilter('sharpen', imageOf(picture()), { factor: 2, radius: 1 });
    await expect(both).rejects.toThrow(
      'params.factor: expected either factor, or radius, amount and threshold, got both',
    );
  });

  it('changes nothing by a mask of no amount, or with a threshold that nothing reaches', async () => {
    const original = picture();
    for (const mask of [{ amount: 0 }, { threshold: 255 }]) {
      expect(maxDiff(await filterPixels('sharpen', imageOf(original), mask), original)).toBe(0);
    }
  });
});

describe('grayscale', () => {
  it('leaves grey as it is, and is done after one time', async () => {
    const once = await filterPixels('grayscale', imageOf(picture(KINDS[3])));
    expect(once.channels).toBe(2);
    expect(maxDiff(await filterPixels('grayscale', imageOf(once)), once)).toBe(0);
  });
});
