import { readFile } from 'node:fs/promises';
import { decode as decodeBlurhash } from 'blurhash';
import { describe, expect, it } from 'vitest';
import { decodeFile, imageOf, runFilter } from '../support/filters.ts';
import { flatPng, KINDS, picture, pipelineOver } from '../support/pictures.ts';

const info = async (bytes: Buffer, params = {}) => {
  const step = await runFilter('info', await decodeFile(bytes), params);
  if (step.kind !== 'json') throw new Error('expected JSON');
  return step.json as Record<string, unknown>;
};

describe('info', () => {
  it('tells what the file is', async () => {
    const file = await pipelineOver(picture())
      .withMetadata({ orientation: 6, density: 300 })
      .jpeg()
      .toBuffer();
    expect(await info(file)).toEqual({
      width: 23,
      height: 37,
      format: 'jpeg',
      bytes: file.length,
      space: 'srgb',
      channels: 3,
      depth: 'uchar',
      hasAlpha: false,
      orientation: 6,
      frames: 1,
      density: 300,
      hasProfile: true,
      dominantColour: expect.stringMatching(/^#[0-9a-f]{6}$/),
      blurHash: expect.stringMatching(/^[\w#$%*+,\-.:;=?@[\]^{|}~]{28}$/),
    });
  });

  it('tells the space and channels of a CMYK file, not of the sRGB that it is worked on in', async () => {
    const file = await readFile(new URL('../golden/inputs/cmyk.jpg', import.meta.url));

    expect(await info(file)).toMatchObject({ format: 'jpeg', space: 'cmyk', channels: 4, hasAlpha: false });
  });

  it('finds the dominant colour', async () => {
    const { dominantColour } = await info(await flatPng(30, 20, '#d01020'));
    const [r, g, b] = String(dominantColour)
      .match(/\w\w/g)!
      .map((pair) => Number.parseInt(pair, 16));
    expect(Math.abs(r! - 0xd0) + Math.abs(g! - 0x10) + Math.abs(b! - 0x20)).toBeLessThan(30);
  });

  it('gives a BlurHash that decodes to the image’s colours', async () => {
    const blue = await flatPng(30, 20, '#2040c0');
    const { blurHash } = await info(blue, { blurhashX: 3, blurhashY: 2 });
    const [r, g, b] = decodeBlurhash(String(blurHash), 1, 1);
    expect(Math.abs(r! - 0x20) + Math.abs(g! - 0x40) + Math.abs(b! - 0xc0)).toBeLessThan(40);
  });

  it.each(KINDS)('works on $name and on one pixel', async (kind) => {
    for (const [width, height] of [
      [37, 23],
      [1, 1],
      [4000, 1],
    ] as const) {
      const step = await runFilter('info', imageOf(picture(kind, width, height)));
      expect(step).toMatchObject({ kind: 'json', json: { width, height, channels: kind.channels } });
    }
  });

  it('can be written as JSON', async () => {
    const json = await info(await pipelineOver(picture()).png().toBuffer());
    expect(JSON.parse(JSON.stringify(json))).toMatchObject({ width: 37, blurHash: json.blurHash });
  });
});
