import { describe, expect, it } from 'vitest';
import type { Pixels } from '../../runtime/filter.ts';
import { maxDiff } from '../support/compare.ts';
import { decodeFile, filterPixels, imageOf, runFilter } from '../support/filters.ts';
import { KINDS, picture, pngOf } from '../support/pictures.ts';

const even = (width: number, height: number, ...pixel: number[]): Pixels => ({
  data: Uint8Array.from({ length: width * height * pixel.length }, (_, i) => pixel[i % pixel.length]!),
  width,
  height,
  channels: pixel.length as Pixels['channels'],
});
const GREY = even(10, 8, 100);
const COLOUR = even(10, 8, 100, 100, 100);
const RED = imageOf(even(3, 2, 255, 0, 0, 255));
const mark = (base: Pixels, params: Record<string, unknown> = {}, image = RED) =>
  filterPixels('watermark', imageOf(base), { image: 'mark', ...params }, { inputs: { mark: image } });
/** Where the mark is seen, one string a row. */
const shown = ({ data, width, channels }: Pixels) =>
  Array.from({ length: data.length / channels }, (_, i) => (data[i * channels] === 100 ? '.' : '#'))
    .join('')
    .match(new RegExp(`.{${width}}`, 'g'));

describe('watermark', () => {
  it.each([
    ['northwest', 1, 1],
    ['north', 3, 1],
    ['southeast', 6, 5],
    ['west', 1, 3],
    ['centre', 3, 3],
  ])('lies in the %s, a margin from the edges', async (position, left, top) => {
    const rows = shown(await mark(COLOUR, { position, margin: 1 })) ?? [];
    expect(rows.findIndex((row) => row.includes('#'))).toBe(top);
    expect(rows[top]?.indexOf('###')).toBe(left);
    expect(rows.join('').replaceAll('.', '')).toHaveLength(6);
  });

  it('is tiled over the whole image from its place on', async () => {
    expect(shown(await mark(COLOUR, { tile: true, margin: 1, position: 'northwest' }))).toEqual([
      '..........',
      '.###.###.#',
      '.###.###.#',
      '..........',
      '.###.###.#',
      '.###.###.#',
      '..........',
      '.###.###.#',
    ]);
  });

  it('is mixed by its opacity and its own alpha', async () => {
    const half = await mark(COLOUR, { opacity: 0.5, position: 'northwest' });
    expect([...half.data.subarray(0, 3)]).toEqual([178, 50, 50]);
    const translucent = imageOf(even(3, 2, 255, 0, 0, 51));
    expect([...(await mark(COLOUR, { position: 'northwest' }, translucent)).data.subarray(0, 3)]).toEqual([
      131, 80, 80,
    ]);
    expect(maxDiff(await mark(COLOUR, { opacity: 0 }), COLOUR)).toBe(0);
  });

  it('shows on transparent pixels too', async () => {
    const result = await mark(even(10, 8, 9, 9, 9, 0), { opacity: 0.5, position: 'northwest' });
    expect([...result.data.subarray(0, 4)]).toEqual([255, 0, 0, 128]);
    expect([...result.data.subarray(-4)]).toEqual([9, 9, 9, 0]);
  });

  it('makes a grey image coloured only if it has colour itself', async () => {
    expect((await mark(GREY)).channels).toBe(3);
    expect((await mark(GREY, {}, imageOf(even(3, 2, 255)))).channels).toBe(1);
  });

  it('keeps 16 bits', async () => {
    const base = picture(KINDS[6]);
    const { data } = await mark(base, { position: 'northwest' });
    expect(data).toBeInstanceOf(Uint16Array);
    expect([...data.subarray(0, 3)]).toEqual([65535, 0, 0]);
    expect(data.at(-1)).toBe(base.data.at(-1));
  });

  it('takes a share of the image, and is made smaller when it does not fit', async () => {
    const size = (rows: string[] | null) => [
      rows?.filter((row) => row.includes('#')).length,
      (rows?.join('').match(/#/g) ?? []).length,
    ];
    expect(size(shown(await mark(COLOUR, { scale: 0.6 })))).toEqual([4, 24]);
    const large = imageOf(even(60, 40, 255, 0, 0, 255));
    expect(size(shown(await mark(COLOUR, {}, large)))).toEqual([7, 70]);
  });

  it('is read by the rules of the task, and its faults are told', async () => {
    const missing = runFilter('watermark', imageOf(COLOUR), { image: 'logo.png' });
    await expect(missing).rejects.toThrow('no input logo.png');
    await expect(runFilter('watermark', imageOf(COLOUR), {})).rejects.toThrow(
      'params.image: expected a storage key, or what else a task may name as its input, it is missing',
    );
  });

  it('says that the mark is damaged, when it is', async () => {
    const file = await pngOf(picture(KINDS[2], 300, 200));
    const mark = await decodeFile(file.subarray(0, file.length / 2));
    const failure = runFilter('watermark', imageOf(COLOUR), { image: 'mark' }, { inputs: { mark } });
    await expect(failure).rejects.toMatchObject({ failureType: 'not-an-image' });
  });

  it('is tiled by the pixel without counting the tiles first', async () => {
    const base = even(700, 500, 100, 100, 100);
    const result = await mark(base, { tile: true }, imageOf(even(1, 1, 255, 0, 0)));
    expect(result.data.every((level, i) => level === (i % 3 === 0 ? 255 : 0))).toBe(true);
  });
});
