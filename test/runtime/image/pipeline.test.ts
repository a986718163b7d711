import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type Context,
  defineFilter,
  type Encoding,
  type Filter,
  type Image,
  type Pixels,
} from '../../../runtime/filter.ts';
import { decode } from '../../../runtime/image/decode.ts';
import { encode } from '../../../runtime/image/encode.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { applyFilter, materialize } from '../../../runtime/image/pipeline.ts';
import { CALLS, MARKS } from '../../support/calls.ts';
import { maxDiff } from '../../support/compare.ts';
import { filterFile, filterPixels, imageOf, runFilter } from '../../support/filters.ts';
import { KINDS, picture, pipelineOver, pngOf } from '../../support/pictures.ts';

const CONTEXT: Context = {
  taskId: 'test',
  step: 0,
  signal: new AbortController().signal,
  load: () => Promise.reject(new Error('nothing to load')),
};
const run = { inputs: MARKS };
const open = async (bytes: Buffer) => decode(bytes, DEFAULT_LIMITS);
/** Encoding frees samples that a filter made. */
const copyOf = (pixels: Pixels): Pixels => ({ ...pixels, data: pixels.data.slice() });
const named = CALLS.map((call) => ({ ...call, title: `${call.filter} ${JSON.stringify(call.params)}` }));

describe('a pipeline that is encoded in one go', () => {
  const encodings: Encoding[] = [
    { format: 'png' },
    { format: 'jpeg' },
    { format: 'webp', lossless: true },
    { format: 'tiff' },
  ];

  it.each(named)('gives the same bytes as one that is read first: $title', async ({ filter, params }) => {
    for (const kind of KINDS) {
      const image = await open(await pngOf(picture(kind)));
      const pixels = copyOf(await filterPixels(filter, image, params, run));
      for (const encoding of encodings) {
        const fused = await filterFile(filter, image, params, encoding, run);
        const read = await encode(pixels, image, encoding, DEFAULT_LIMITS);
        const [a, b] = await Promise.all(
          [fused, read].map(async ({ bytes }) => (await open(bytes)).pixels()),
        );
        expect(maxDiff(a!, b!), `${kind.name} ${encoding.format}`).toBe(0);
      }
    }
  });
});

describe('an image in another colour space', () => {
  const files = {
    CMYK: () => pipelineOver(picture()).toColourspace('cmyk').jpeg().toBuffer(),
    'Display P3': () => pipelineOver(picture()).withIccProfile('p3').png().toBuffer(),
    '16-bit Display P3': () => pipelineOver(picture(KINDS[6])).withIccProfile('p3').png().toBuffer(),
    'grey with a profile': () => pipelineOver(picture(KINDS[0])).withIccProfile('srgb').jpeg().toBuffer(),
    Lab: () => pipelineOver(picture()).toColourspace('lab').tiff().toBuffer(),
    'a palette': () => pipelineOver(picture()).png({ palette: true, colours: 16 }).toBuffer(),
  };

  it.each(Object.entries(files))('is filtered in sRGB: %s', async (_, file) => {
    const image = await open(await file());
    const decoded = imageOf(await image.pixels());
    expect(decoded.channels).toBe(image.channels);
    for (const { filter, params } of CALLS.filter((call) => call.filter !== 'resize')) {
      const lazy = await filterPixels(filter, image, params, run);
      const eager = await filterPixels(filter, decoded, params, run);
      expect(maxDiff(lazy, eager), filter).toBe(0);
    }
  });
});

describe('a filter', () => {
  it.each(named)('keeps depth, alpha and grey: $title', async ({ filter, params }) => {
    for (const kind of KINDS) {
      const image = await open(await pngOf(picture(kind)));
      const { data, channels } = await filterPixels(filter, image, params, run);
      const colourful = filter === 'watermark' || params.background === '#336699';
      const cannyBits = filter === 'edges' && params.low !== undefined;
      expect(data instanceof Uint16Array, kind.name).toBe(kind.bits === 16 && !cannyBits);
      if (filter === 'edges') expect(channels).toBe(1);
      else if (kind.channels < 3 && !colourful && filter !== 'grayscale')
        expect(channels, kind.name).toBeLessThan(3);
      const hadAlpha = kind.channels % 2 === 0;
      if (hadAlpha && filter !== 'edges') expect(channels % 2, kind.name).toBe(0);
      const addsAlpha = params.background === 'transparent';
      if (!hadAlpha && !addsAlpha) expect(channels % 2, kind.name).toBe(1);
    }
  });

  it.each(named)('works on one pixel and on a very wide image: $title', async ({ filter, params }) => {
    if (filter === 'crop') return;
    for (const [width, height] of [
      [1, 1],
      [3000, 1],
      [1, 300],
    ] as const) {
      const { data } = await filterPixels(filter, imageOf(picture(KINDS[2], width, height)), params, run);
      expect(data.length).toBeGreaterThan(0);
    }
  });
});

describe('applyFilter', () => {
  const grow = (forecast: boolean): Filter =>
    defineFilter({
      summary: 'Enlarges.',
      params: z.strictObject({}),
      apply: (image) => image.pipeline().resize(1000, 1000),
      ...(forecast && { forecast: () => ({ width: 1000, height: 1000 }) }),
    });
  const limits = { ...DEFAULT_LIMITS, outputPixels: 999_999 };

  it('refuses what a filter foresees to be too large, before it starts', async () => {
    const applied = applyFilter(grow(true), imageOf(picture()), {}, CONTEXT, limits);
    await expect(applied).rejects.toMatchObject({
      failureType: 'limit-exceeded',
      message: expect.stringMatching(/1000 × 1000/),
    });
  });

  it('refuses what turns out to be too large', async () => {
    const image = imageOf(picture());
    const step = await applyFilter(grow(false), image, {}, CONTEXT, limits);
    if (step.kind === 'json') throw new Error('expected an image');
    await expect(materialize(step.result, image, limits)).rejects.toMatchObject({
      failureType: 'limit-exceeded',
    });
    await expect(encode(step.result, image, {}, limits)).rejects.toMatchObject({
      failureType: 'limit-exceeded',
    });
  });

  it.each([
    ['resize', { width: 2000, enlarge: true }],
    ['resize', { width: 2000, height: 2000, fit: 'contain' }],
    ['resize', { width: 2000, height: 3, fit: 'outside', enlarge: true }],
    ['rotate', { angle: 45 }],
  ])('lets %s %j be refused before the work', async (filter, params) => {
    const refusal = runFilter(filter, imageOf(picture()), params, {
      limits: { ...DEFAULT_LIMITS, outputPixels: 1000 },
    });
    await expect(refusal).rejects.toMatchObject({ failureType: 'limit-exceeded' });
  });

  it('passes on what a filter throws, unless its input is at fault', async () => {
    const filter = defineFilter({
      summary: 'Fails.',
      params: z.strictObject({}),
      apply: () => {
        throw new Error('out of ideas');
      },
    });
    const file = await pngOf(picture(KINDS[2], 300, 200));
    const apply = (image: Image) => applyFilter(filter, image, {}, CONTEXT, DEFAULT_LIMITS);
    await expect(apply(await open(file))).rejects.toThrow('out of ideas');
    await expect(apply(await open(file.subarray(0, 5000)))).rejects.toMatchObject({
      failureType: 'not-an-image',
    });
  });

  it('keeps the alpha of a pipeline that makes colour grey', async () => {
    const image = imageOf(picture(KINDS[3]));
    const { channels } = await materialize(image.pipeline().grayscale(), image, DEFAULT_LIMITS);
    expect(channels).toBe(2);
  });

  it('lays the alpha that a filter adds on white for JPEG', async () => {
    const image = await open(await pipelineOver(picture()).jpeg().toBuffer());
    const params = { angle: 45, background: 'transparent' };
    const { bytes } = await filterFile('rotate', image, params);
    const corner = await sharp(bytes).extract({ left: 0, top: 0, width: 4, height: 4 }).raw().toBuffer();
    expect(Math.min(...corner)).toBeGreaterThan(240);
  });
});
