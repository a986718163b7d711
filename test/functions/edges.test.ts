import { describe, expect, it } from 'vitest';
import { filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { picture } from '../support/pictures.ts';

const STEP = {
  data: Uint8Array.from({ length: 80 }, (_, i) => (i % 10 >= 5 ? 200 : 50)),
  width: 10,
  height: 8,
  channels: 1,
} as const;

describe('edges', () => {
  it('finds an upright step, and both its sides', async () => {
    const up = await filterPixels('edges', imageOf(STEP), { method: 'sobel' });
    const down = await filterPixels(
      'edges',
      imageOf({ ...STEP, data: STEP.data.map((level) => 250 - level) }),
      { method: 'sobel' },
    );
    expect([...up.data.subarray(0, 10)]).toEqual([0, 0, 0, 0, 255, 255, 0, 0, 0, 0]);
    expect(down.data).toEqual(up.data);
  });

  it('looks in one direction where asked to', async () => {
    const level = await filterPixels('edges', imageOf(STEP), { method: 'sobel', direction: 'y' });
    expect(level.data.every((value) => value === 0)).toBe(true);
  });

  it('gives canny lines that are black and white and one pixel thin', async () => {
    const { data } = await filterPixels('edges', imageOf(STEP), {});
    expect(new Set(data)).toEqual(new Set([0, 255]));
    for (let row = 1; row < 7; row++)
      expect(data.slice(row * 10, row * 10 + 10).filter((value) => value === 255)).toHaveLength(1);
  });

  it('finds more with lower thresholds', async () => {
    const image = imageOf(picture({ channels: 3, bits: 8 }, 60, 40));
    const edges = async (low: number, high: number) =>
      (await filterPixels('edges', image, { low, high })).data.filter((value) => value === 255).length;
    expect(await edges(10, 30)).toBeGreaterThan(await edges(100, 300));
  });

  it.each([
    [{ method: 'prewitt' }, 'params.method: expected one of canny, sobel, laplacian, got "prewitt"'],
    [{ method: 'sobel', low: 3 }, 'params.low: only canny takes it, the method is sobel'],
    [{ direction: 'x' }, 'params.direction: only sobel takes it, the method is canny'],
    [{ low: 300, high: 100 }, 'params.low: expected at most high (100), got 300'],
    [{ low: 300 }, 'params.low: expected at most high (200), got 300'],
  ])('refuses %j', async (params, words) => {
    await expect(runFilter('edges', imageOf(picture()), params)).rejects.toThrow(words);
  });
});
