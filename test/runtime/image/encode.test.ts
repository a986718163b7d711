import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Encoding } from '../../../runtime/filter.ts';
import { decode } from '../../../runtime/image/decode.ts';
import { encode } from '../../../runtime/image/encode.ts';
import { encodingSchema, OUTPUT_FORMATS } from '../../../runtime/image/formats.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { validationMessage } from '../../../runtime/validation-message.ts';
import { maxDiff } from '../../support/compare.ts';
import { imageOf } from '../../support/filters.ts';
import { KINDS, picture, pipelineOver, pngOf } from '../../support/pictures.ts';

const reopen = async (bytes: Buffer) => (await decode(bytes, DEFAULT_LIMITS)).pixels();

async function encodePicture(
  encoding: Encoding,
  kind: (typeof KINDS)[number] = KINDS[2],
  limits = DEFAULT_LIMITS,
) {
  const image = imageOf(picture(kind));
  return encode(image.pipeline(), image, encoding, limits);
}

describe('encode', () => {
  it.each([
    ['jpeg', 'image/jpeg', 'jpg'],
    ['png', 'image/png', 'png'],
    ['webp', 'image/webp', 'webp'],
    ['avif', 'image/avif', 'avif'],
    ['tiff', 'image/tiff', 'tiff'],
    ['gif', 'image/gif', 'gif'],
  ] as const)('writes %s', async (format, contentType, extension) => {
    const file = await encodePicture({ format });
    expect(file).toMatchObject({ format, contentType, extension, width: 37, height: 23 });
    expect((await decode(file.bytes, DEFAULT_LIMITS)).source.format).toBe(format);
  });

  it.each(OUTPUT_FORMATS)("takes the input's own format: %s", async (format) => {
    const image = await decode(await pipelineOver(picture()).toFormat(format).toBuffer(), DEFAULT_LIMITS);
    expect((await encode(image.pipeline(), image, {}, DEFAULT_LIMITS)).format).toBe(format);
  });

  it('gives PNG for SVG, which cannot be written', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2"/>');
    const limits = { ...DEFAULT_LIMITS, svg: true };
    const image = await decode(svg, limits);
    expect((await encode(image.pipeline(), image, {}, limits)).format).toBe('png');
  });

  it.each(OUTPUT_FORMATS)('strips all metadata from %s', async (format) => {
    const file = await pipelineOver(picture())
      .withExif({ IFD0: { Copyright: 'secret', Artist: 'secret' }, IFD3: { GPSLatitude: '51/1 30/1 0/1' } })
      .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/">secret</x:xmpmeta>')
      .withIccProfile('p3')
      .jpeg()
      .toBuffer();
    const image = await decode(file, DEFAULT_LIMITS);
    const { bytes } = await encode(image.pipeline(), image, { format }, DEFAULT_LIMITS);
    const { exif, icc, xmp, iptc, orientation } = await sharp(bytes).metadata();
    expect({ exif, icc, xmp, iptc }).toEqual({});
    expect(orientation ?? 1).toBe(1);
    expect(bytes.includes('secret')).toBe(false);
  });

  it.each(KINDS)('keeps every sample of $name in PNG and TIFF', async (kind) => {
    const original = picture(kind);
    for (const format of ['png', 'tiff'] as const) {
      const { bytes } = await encodePicture({ format }, kind);
      expect(maxDiff(await reopen(bytes), original)).toBe(0);
    }
  });

  it.each(KINDS)('writes $name in every format', async (kind) => {
    for (const format of OUTPUT_FORMATS) {
      const { bytes } = await encodePicture({ format }, kind);
      const { width, height, depth } = await sharp(bytes).metadata();
      expect({ width, height }).toEqual({ width: 37, height: 23 });
      expect(depth).toBe(kind.bits === 16 && (format === 'png' || format === 'tiff') ? 'ushort' : 'uchar');
    }
  });

  it('keeps grey grey in JPEG', async () => {
    const { bytes } = await encodePicture({ format: 'jpeg' }, KINDS[0]);
    expect((await sharp(bytes).metadata()).channels).toBe(1);
  });

  it('lays transparent pixels on white for JPEG, or on the colour asked for', async () => {
    const data = Uint8Array.from({ length: 64 * 4 }, (_, i) => (i % 4 === 3 ? 0 : 10));
    const image = imageOf({ data, width: 8, height: 8, channels: 4 });
    for (const [background, colour] of [
      [undefined, [255, 255, 255]],
      ['#ff8000', [255, 128, 0]],
    ] as const) {
      const encoding = { format: 'jpeg', quality: 100, chromaSubsampling: '4:4:4', background } as const;
      const { bytes } = await encode(image.pipeline(), image, encoding, DEFAULT_LIMITS);
      const pixels = await reopen(bytes);
      colour.forEach((level, c) => void expect(Math.abs(pixels.data[c]! - level)).toBeLessThanOrEqual(2));
    }
  });

  it('ignores a quality given to PNG instead of reducing its colours', async () => {
    const { bytes } = await encodePicture({ format: 'png', quality: 10 });
    expect(maxDiff(await reopen(bytes), picture())).toBe(0);
    expect(
      (await sharp((await encodePicture({ format: 'png', palette: true, colours: 4 })).bytes).metadata())
        .isPalette,
    ).toBe(true);
  });

  it('spends more bytes on more quality', async () => {
    for (const format of ['jpeg', 'webp', 'avif'] as const) {
      const [low, high] = await Promise.all([20, 95].map((quality) => encodePicture({ format, quality })));
      expect(low!.bytes.length).toBeLessThan(high!.bytes.length);
    }
  });

  it('refuses a result of too many pixels', async () => {
    const refusal = encodePicture({ format: 'png' }, KINDS[2], { ...DEFAULT_LIMITS, outputPixels: 850 });
    await expect(refusal).rejects.toMatchObject({
      failureType: 'limit-exceeded',
      message: expect.stringMatching(/851 pixels.*limit is 850/),
    });
  });

  it('refuses a side that the format cannot hold', async () => {
    const image = imageOf(picture(KINDS[2], 16_400, 1));
    for (const result of [image.pipeline(), await image.pixels()]) {
      const refusal = encode(result, image, { format: 'webp' }, DEFAULT_LIMITS);
      await expect(refusal).rejects.toMatchObject({
        failureType: 'limit-exceeded',
        message: expect.stringMatching(/16383/),
      });
    }
  });

  it('says that the input is damaged when that shows only now', async () => {
    const file = await pngOf(picture(KINDS[2], 300, 200));
    const image = await decode(file.subarray(0, file.length / 2), DEFAULT_LIMITS);
    const failure = encode(image.pipeline(), image, {}, DEFAULT_LIMITS);
    await expect(failure).rejects.toMatchObject({ failureType: 'not-an-image' });
  });
});

describe('encodingSchema', () => {
  it.each([
    [{ format: 'webp', mozjpeg: true }, 'output.mozjpeg: webp does not take it, only jpeg'],
    [{ format: 'webp', effort: 9 }, 'output.effort: expected a whole number from 0 to 6 for webp, got 9'],
    [{ format: 'gif', effort: 0 }, 'output.effort: expected a whole number from 1 to 10 for gif, got 0'],
    [{ format: 'png', colours: 16 }, 'output.colours: png takes it only with a palette'],
    [{ format: 'png', dither: 0, palette: false }, 'output.dither: png takes it only with a palette'],
    [{ format: 'png', effort: 3 }, 'output.effort: png takes it only with a palette; set palette to true as'],
    [{ format: 'bmp' }, `output.format: expected one of ${OUTPUT_FORMATS.join(', ')}, got "bmp"`],
    [{ quality: 0 }, 'output.quality: expected a whole number from 1 to 100, got 0'],
    [{ qualty: 80 }, 'output.qualty: unknown, did you mean quality?'],
    [{ format: 'jpeg', background: 'blurple' }, /^output\.background: expected a colour: .*, got "blurple"$/],
  ])('refuses %j', (encoding, words) => {
    const { error } = encodingSchema.safeParse(encoding);
    expect(error && validationMessage(error, encoding, encodingSchema, 'output')).toMatch(words);
  });

  it('lets the options of a palette be beside one', () => {
    const encoding = { format: 'png', palette: true, colours: 16, dither: 0.5, effort: 3 };
    expect(encodingSchema.safeParse(encoding).success).toBe(true);
  });

  it('lets options be where the format is the input’s own', () => {
    expect(encodingSchema.safeParse({ quality: 80, mozjpeg: true, lossless: true }).success).toBe(true);
  });
});
