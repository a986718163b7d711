import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxDiff } from '../support/compare.ts';
import { decodeFile, filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { KINDS, picture, pngOf } from '../support/pictures.ts';

const size = async (params: Record<string, unknown>, width = 40, height = 30) => {
  const result = await filterPixels('resize', imageOf(picture(KINDS[2], width, height)), params);
  return [result.width, result.height];
};

describe('resize', () => {
  it.each([
    [{ width: 20 }, [20, 15]],
    [{ height: 10 }, [13, 10]],
    [{ width: 20, fit: 'fill' }, [20, 15]],
    [{ width: 80 }, [40, 30]],
    [{ width: 80, enlarge: true }, [80, 60]],
    [{ width: 20, height: 20 }, [20, 20]],
    [{ width: 20, height: 20, fit: 'contain' }, [20, 20]],
    [{ width: 20, height: 20, fit: 'fill' }, [20, 20]],
    [{ width: 20, height: 20, fit: 'inside' }, [20, 15]],
    [{ width: 20, height: 20, fit: 'outside' }, [27, 20]],
    [{ width: 60, height: 20 }, [40, 20]],
    [{ width: 60, height: 20, enlarge: true }, [60, 20]],
    [{ width: 60, height: 60, fit: 'contain' }, [60, 60]],
    [{ width: 60, height: 10, fit: 'fill', enlarge: true }, [60, 10]],
    [{ width: 60, height: 60, fit: 'inside', enlarge: true }, [60, 45]],
    [{ width: 60, height: 60, fit: 'outside', enlarge: true }, [80, 60]],
  ])('40 × 30 by %j gives %j', async (params, expected) => {
    expect(await size(params)).toEqual(expected);
  });

  it('never exceeds what was asked for when it fits inside', async () => {
    const side = fc.integer({ min: 1, max: 60 });
    await fc.assert(
      fc.asyncProperty(side, side, side, side, fc.boolean(), async (width, height, w, h, enlarge) => {
        const [outWidth = 0, outHeight = 0] = await size(
          { width: w, height: h, fit: 'inside', enlarge },
          width,
          height,
        );
        expect(outWidth).toBeLessThanOrEqual(w);
        expect(outHeight).toBeLessThanOrEqual(h);
        expect(outWidth >= 1 && outHeight >= 1).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('covers exactly what was asked for when it may enlarge', async () => {
    const side = fc.integer({ min: 1, max: 60 });
    await fc.assert(
      fc.asyncProperty(side, side, side, side, async (width, height, w, h) => {
        for (const fit of ['cover', 'contain', 'fill']) {
          expect(await size({ width: w, height: h, fit, enlarge: true }, width, height)).toEqual([w, h]);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('keeps the part that the position names', async () => {
    const image = imageOf(picture(KINDS[2], 40, 20));
    const part = async (position: string) =>
      filterPixels('resize', image, { width: 20, height: 20, position });
    const whole = await filterPixels('resize', image, { width: 40 });
    for (const [position, left] of [
      ['west', 0],
      ['centre', 10],
      ['east', 20],
    ] as const) {
      expect([...(await part(position)).data.subarray(0, 3)]).toEqual([
        ...whole.data.subarray(left * 3, left * 3 + 3),
      ]);
    }
  });

  it.each(['attention', 'entropy'])('finds the part that matters by %s', async (position) => {
    const data = new Uint8Array(100 * 40 * 3).fill(20);
    for (let y = 10; y < 30; y++)
      for (let x = 78; x < 98; x++) data[(y * 100 + x) * 3] = (x * 61 + y * 37) % 256;
    const result = await filterPixels('resize', imageOf({ data, width: 100, height: 40, channels: 3 }), {
      width: 40,
      height: 40,
      position,
    });
    expect(result.data.some((level) => level > 200)).toBe(true);
  });

  it('pads with white, with transparency where there is alpha, or with the colour asked for', async () => {
    const corner = async (kind: (typeof KINDS)[number], params = {}) => {
      const result = await filterPixels('resize', imageOf(picture(kind)), {
        width: 20,
        height: 40,
        fit: 'contain',
        ...params,
      });
      return [...result.data.subarray(0, result.channels)];
    };
    expect(await corner(KINDS[2])).toEqual([255, 255, 255]);
    expect(await corner(KINDS[3])).toEqual([0, 0, 0, 0]);
    expect(await corner(KINDS[0])).toEqual([255]);
    expect(await corner(KINDS[2], { background: 'rebeccapurple' })).toEqual([102, 51, 153]);
    expect(await corner(KINDS[0], { background: '#369' })).toEqual([51, 102, 153]);
    expect(await corner(KINDS[2], { background: '#33669980' })).toEqual([51, 102, 153, 128]);
  });

  it('enlarges without moving the image', async () => {
    const small = picture({ channels: 3, bits: 8 }, 24, 16);
    const mirrored = await filterPixels('flip', imageOf(small), { direction: 'both' });
    const large = await filterPixels('resize', imageOf(small), { width: 55, enlarge: true });
    const largeMirrored = await filterPixels('resize', imageOf(mirrored), { width: 55, enlarge: true });
    const back = await filterPixels('flip', imageOf(largeMirrored), { direction: 'both' });
    expect(maxDiff(back, large)).toBeLessThanOrEqual(1);
  });

  it('takes the same shortcuts while loading as the library on its own', async () => {
    const file = await imageOf(picture(KINDS[2], 800, 600))
      .pipeline()
      .jpeg({ quality: 95 })
      .toBuffer();
    const image = await decodeFile(file);
    const { default: sharp } = await import('sharp');
    const bare = await sharp(file).resize(100).raw().toBuffer();
    expect(Buffer.from((await filterPixels('resize', image, { width: 100 })).data).equals(bare)).toBe(true);
  });

  it.each([
    [{}, 'params.width: expected width, height or both'],
    [{ width: 0 }, 'params.width: expected a whole number from 1 to 65535, got 0'],
    [
      { width: 10, fit: 'stretch' },
      'params.fit: expected one of cover, contain, fill, inside, outside, got "stretch"',
    ],
    [
      { width: 10, height: 10, fit: 'inside', position: 'entropy' },
      'params.position: attention and entropy choose what to cut off',
    ],
    [{ width: 10, background: 'blurple' }, 'params.background: expected a colour'],
    [{ width: 10, hieght: 10 }, 'params.hieght: unknown, did you mean height?'],
  ])('refuses %j', async (params, words) => {
    await expect(runFilter('resize', imageOf(picture()), params)).rejects.toThrow(words);
  });

  it('keeps the bits of an image that already has the size', async () => {
    const original = picture(KINDS[7]);
    const image = await decodeFile(await pngOf(original));
    expect(maxDiff(await filterPixels('resize', image, { width: 37 }), original)).toBe(0);
  });
});
