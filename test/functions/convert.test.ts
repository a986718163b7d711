import { describe, expect, it } from 'vitest';
import { loadFunction } from '../../runtime/functions.ts';
import { encodingSchema, OUTPUT_FORMATS } from '../../runtime/image/formats.ts';
import { maxDiff } from '../support/compare.ts';
import { decodeFile, filterFile, filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { KINDS, picture, pngOf } from '../support/pictures.ts';

describe('convert', () => {
  it.each(KINDS)('changes no sample of $name', async (kind) => {
    const original = picture(kind);
    const image = await decodeFile(await pngOf(original));
    expect(maxDiff(await filterPixels('convert', image), original)).toBe(0);
  });

  it('asks for the final encoding, in the form that a task may write it', async () => {
    const filter = await loadFunction('convert');
    const params = { format: 'jpeg', quality: 70, background: '#ff0000' };
    const asked = 'encoding' in filter ? filter.encoding?.(filter.params.parse(params)) : undefined;
    expect(asked).toEqual(params);
    expect(encodingSchema.safeParse(asked).success).toBe(true);
  });

  it.each(OUTPUT_FORMATS)('gives the same %s bytes every time', async (format) => {
    const image = imageOf(picture());
    const [a, b] = [
      await filterFile('convert', image, {}, { format }),
      await filterFile('convert', image, {}, { format }),
    ];
    expect(a.bytes.equals(b.bytes)).toBe(true);
  });

  it.each([
    [{ format: 'bmp' }, `params.format: expected one of ${OUTPUT_FORMATS.join(', ')}, got "bmp"`],
    [{ format: 'png', mozjpeg: true }, 'params.mozjpeg: png does not take it, only jpeg'],
    [{ quality: 101 }, 'params.quality: expected a whole number from 1 to 100, got 101'],
  ])('refuses %j', async (params, words) => {
    await expect(runFilter('convert', imageOf(picture()), params)).rejects.toThrow(words);
  });
});
