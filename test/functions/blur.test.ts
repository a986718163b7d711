import { describe, expect, it } from 'vitest';
import type { Pixels } from '../../runtime/filter.ts';
import { maxDiff } from '../support/compare.ts';
import { filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { KINDS, picture } from '../support/pictures.ts';

describe('blur', () => {
  it.each(KINDS)('changes nothing at radius 0: $name', async (kind) => {
    const original = picture(kind);
    expect(maxDiff(await filterPixels('blur', imageOf(original), { radius: 0 }), original)).toBe(0);
  });

  it.each([0.5, 1, 3, 20, 300])('keeps an even image even at radius %d', async (radius) => {
    const even: Pixels = { data: new Uint8Array(50 * 40 * 3).fill(137), width: 50, height: 40, channels: 3 };
    expect(maxDiff(await filterPixels('blur', imageOf(even), { radius }), even)).toBe(0);
  });

  it.each([0.7, 2, 7, 25])(
    'spreads an edge as the Gaussian of radius %d does, within one level',
    async (radius) => {
      const width = 301;
      const data = Uint8Array.from({ length: width }, (_, x) => (x >= 150 ? 255 : 0));
      const result = await filterPixels('blur', imageOf({ data, width, height: 1, channels: 1 }), { radius });
      const weights = Array.from({ length: 2 * width + 1 }, (_, i) =>
        Math.exp(-((i - width) ** 2) / (2 * radius ** 2)),
      );
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let x = 0; x < width; x++) {
        const right = weights.filter((_, i) => x + i - width >= 150).reduce((sum, weight) => sum + weight, 0);
        expect(Math.abs(result.data[x]! - (255 * right) / total)).toBeLessThanOrEqual(1);
      }
    },
  );

  it('keeps hidden colours from bleeding', async () => {
    const data = Uint8Array.from(
      { length: 40 * 4 },
      (_, i) => (i < 80 ? [255, 0, 0, 0] : [0, 0, 255, 255])[i % 4]!,
    );
    const result = await filterPixels('blur', imageOf({ data, width: 40, height: 1, channels: 4 }), {
      radius: 3,
    });
    for (let i = 0; i < result.data.length; i += 4)
      if (result.data[i + 3]! > 4) expect(result.data[i]).toBe(0);
  });

  it.each([
    [{}, 'it is missing'],
    [{ radius: -1 }, 'got -1'],
    [{ radius: 1001 }, 'got 1001'],
    [{ radius: '5' }, 'got "5"'],
  ])('refuses %j', async (params, words) => {
    await expect(runFilter('blur', imageOf(picture()), params)).rejects.toThrow(
      `params.radius: expected a number from 0 to 1000, ${words}`,
    );
  });
});
