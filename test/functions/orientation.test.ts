import { describe, expect, it } from 'vitest';
import { CALLS, MARKS } from '../support/calls.ts';
import { maxDiff } from '../support/compare.ts';
import { decodeFile, filterPixels, runFilter } from '../support/filters.ts';
import { ORIENTATIONS, orientedPng, picture } from '../support/pictures.ts';

const run = { inputs: MARKS };

describe.each(ORIENTATIONS)('an image stored with EXIF orientation %i', (orientation) => {
  it.each(CALLS)('is filtered upright: $filter $params', async ({ filter, params, turnedWithin }) => {
    for (const kind of [
      { channels: 3, bits: 8 },
      { channels: 4, bits: 16 },
      { channels: 1, bits: 8 },
    ] as const) {
      const upright = picture(kind);
      const expected = await filterPixels(
        filter,
        await decodeFile(await orientedPng(upright, 1)),
        params,
        run,
      );
      const found = await filterPixels(
        filter,
        await decodeFile(await orientedPng(upright, orientation)),
        params,
        run,
      );
      const levels = maxDiff(found, expected) / (kind.bits === 16 ? 257 : 1);
      expect(levels).toBeLessThanOrEqual(turnedWithin);
    }
  });

  it('is described upright by info', async () => {
    const info = await runFilter('info', await decodeFile(await orientedPng(picture(), orientation)));
    expect(info).toMatchObject({ kind: 'json', json: { width: 37, height: 23, orientation } });
  });
});
