import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxDiff } from '../support/compare.ts';
import { filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { KINDS, picture } from '../support/pictures.ts';

const kinds = fc.constantFrom(...KINDS);

describe('flip', () => {
  it('gives the image back when done twice', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, fc.constantFrom('horizontal', 'vertical', 'both'), async (kind, direction) => {
        const original = picture(kind);
        const once = await filterPixels('flip', imageOf(original), { direction });
        expect(maxDiff(await filterPixels('flip', imageOf(once), { direction }), original)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('swaps left and right by default', async () => {
    const data = Uint8Array.from([1, 2, 3, 4, 5, 6]);
    const result = await filterPixels('flip', imageOf({ data, width: 3, height: 2, channels: 1 }));
    expect([...result.data]).toEqual([3, 2, 1, 6, 5, 4]);
  });
});

describe('rotate', () => {
  it('turns clockwise', async () => {
    const data = Uint8Array.from([1, 2, 3, 4, 5, 6]);
    const result = await filterPixels('rotate', imageOf({ data, width: 3, height: 2, channels: 1 }), {
      angle: 90,
    });
    expect([result.width, result.height, ...result.data]).toEqual([2, 3, 4, 1, 5, 2, 6, 3]);
  });

  it('gives the image back after four quarter turns, bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, fc.constantFrom(90, -90, 270), async (kind, angle) => {
        const original = picture(kind);
        let turned = original;
        for (let turn = 0; turn < 4; turn++)
          turned = await filterPixels('rotate', imageOf(turned), { angle });
        expect(maxDiff(turned, original)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  it('turns by any angle in the same sense as by quarters', async () => {
    const original = picture({ channels: 3, bits: 8 }, 41, 41);
    const almost = await filterPixels('rotate', imageOf(original), { angle: 89.9999 });
    const exact = await filterPixels('rotate', imageOf(original), { angle: 90 });
    const cut = await filterPixels('crop', imageOf(almost), {
      left: (almost.width - 41) >> 1,
      top: (almost.height - 41) >> 1,
      width: 41,
      height: 41,
    });
    const differences = cut.data.filter((level, i) => Math.abs(level - exact.data[i]!) > 2).length;
    expect(almost.width).toBeLessThanOrEqual(43);
    expect(almost.width % 2 === 1 ? differences : 0).toBeLessThan(cut.data.length / 10);
  });

  it('grows the canvas and fills the corners', async () => {
    const corner = async (kind: (typeof KINDS)[number], params = {}) => {
      const { data, width, height, channels } = await filterPixels('rotate', imageOf(picture(kind, 30, 20)), {
        angle: 30,
        ...params,
      });
      expect([width, height]).toEqual([36, 33]);
      return [...data.subarray(0, channels)];
    };
    expect(await corner(KINDS[2])).toEqual([255, 255, 255]);
    expect(await corner(KINDS[3])).toEqual([0, 0, 0, 0]);
    expect(await corner(KINDS[6])).toEqual([65535, 65535, 65535]);
    expect(await corner(KINDS[2], { background: 'transparent' })).toEqual([0, 0, 0, 0]);
    expect(await corner(KINDS[0], { background: 'red' })).toEqual([255, 0, 0]);
  });

  it('shows no seam where the image meets transparent corners', async () => {
    const data = new Uint8Array(40 * 40 * 3).fill(200);
    const result = await filterPixels('rotate', imageOf({ data, width: 40, height: 40, channels: 3 }), {
      angle: 20,
      background: 'transparent',
    });
    for (let i = 0; i < result.data.length; i += 4) {
      if (result.data[i + 3]! > 0) expect(Math.abs(result.data[i]! - 200)).toBeLessThanOrEqual(1);
    }
  });
});

describe('crop', () => {
  it('keeps every pixel of the part', async () => {
    const original = picture();
    const part = await filterPixels('crop', imageOf(original), { left: 5, top: 3, width: 7, height: 4 });
    expect([part.width, part.height]).toEqual([7, 4]);
    for (let y = 0; y < 4; y++) {
      const from = ((y + 3) * 37 + 5) * 3;
      expect([...part.data.subarray(y * 21, y * 21 + 21)]).toEqual([
        ...original.data.subarray(from, from + 21),
      ]);
    }
  });

  it('reaches to the right and bottom edges by default', async () => {
    expect(await filterPixels('crop', imageOf(picture()), { left: 10, top: 20 })).toMatchObject({
      width: 27,
      height: 3,
    });
  });

  it('counts in percent where asked to', async () => {
    const image = imageOf(picture(KINDS[2], 200, 100));
    expect(
      await filterPixels('crop', image, { left: 25, width: 50, height: 10, unit: 'percent' }),
    ).toMatchObject({ width: 100, height: 10 });
    expect(await filterPixels('crop', image, { left: 33.3, top: 66.6, unit: 'percent' })).toMatchObject({
      width: 133,
      height: 33,
    });
  });

  it.each([
    [
      { left: 30, width: 10 },
      'crop: expected a part of the image, which has 37 × 23 pixels, got 10 × 23 from 30, 0.',
    ],
    [{ left: 37 }, 'got 0 × 23 from 37, 0'],
    [{ left: 1.5 }, 'params.left: expected a whole number of pixels, got 1.5'],
    [{ left: -1 }, 'params.left: expected a number of 0 or more, got -1'],
    [{ left: 99.9, width: 0.01, unit: 'percent' }, 'got 0 × 23'],
  ])('refuses %j', async (params, words) => {
    const cropped = runFilter('crop', imageOf(picture()), params);
    await expect(cropped).rejects.toMatchObject({
      failureType: 'invalid-params',
      message: expect.stringContaining(words),
    });
  });
});
