import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../runtime/image/decode.ts';
import { OUTPUT_FORMATS } from '../../../runtime/image/formats.ts';
import { DEFAULT_LIMITS, type ImageLimits } from '../../../runtime/image/limits.ts';
import { maxDiff } from '../../support/compare.ts';
import { KINDS, ORIENTATIONS, orientedPng, picture, pipelineOver, pngOf } from '../../support/pictures.ts';

const open = (bytes: Buffer, limits: Partial<ImageLimits> = {}) =>
  decode(bytes, { ...DEFAULT_LIMITS, ...limits });
const MIB = 1_048_576;
const flat = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'tan' } });
const SVG = Buffer.from(
  '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"/>',
);

describe('decode', () => {
  it.each(KINDS)('keeps $name as it is', async (kind) => {
    const original = picture(kind);
    const image = await open(await pngOf(original));
    const pixels = await image.pixels();
    expect(pixels.data.constructor.name).toBe(kind.bits === 16 ? 'Uint16Array' : 'Uint8Array');
    expect(maxDiff(pixels, original)).toBe(0);
    expect(image).toMatchObject({ width: 37, height: 23, channels: kind.channels, bits: kind.bits });
    expect(image.hasAlpha).toBe(kind.channels % 2 === 0);
  });

  it.each(ORIENTATIONS)('turns EXIF orientation %i upright', async (orientation) => {
    const upright = picture();
    const image = await open(await orientedPng(upright, orientation));
    expect(image).toMatchObject({ width: 37, height: 23 });
    expect(image.source.orientation).toBe(orientation);
    expect(maxDiff(await image.pixels(), upright)).toBe(0);
  });

  it.each(OUTPUT_FORMATS)('reads %s', async (format) => {
    const image = await open(await pipelineOver(picture()).toFormat(format).toBuffer());
    expect(image.source.format).toBe(format);
    expect(image.source.frames).toBe(1);
    expect(await image.pixels()).toMatchObject({ width: 37, height: 23 });
  });

  it('describes the file as stored', async () => {
    const file = await pipelineOver(picture())
      .withMetadata({ orientation: 6, density: 300 })
      .jpeg()
      .toBuffer();
    expect((await open(file)).source).toMatchObject({
      format: 'jpeg',
      bytes: file.length,
      width: 37,
      height: 23,
      space: 'srgb',
      channels: 3,
      depth: 'uchar',
      orientation: 6,
      density: 300,
      hasAlpha: false,
      hasProfile: true,
    });
  });

  it('gives the first frame of an animation and counts the others', async () => {
    const frames = sharp(
      Buffer.alloc(20 * 50 * 3).map((_, i) => (i * 7) % 256),
      {
        raw: { width: 20, height: 50, channels: 3, pageHeight: 10 },
      },
    );
    const image = await open(await frames.gif().toBuffer());
    expect(image).toMatchObject({ width: 20, height: 10, source: { frames: 5 } });
    expect(await image.pixels()).toMatchObject({ width: 20, height: 10 });
  });
});

describe('colour', () => {
  const COLOURS = [255, 0, 0, 0, 255, 0, 128, 128, 128, 200, 100, 50];
  const swatches = () => sharp(Buffer.from(COLOURS), { raw: { width: 4, height: 1, channels: 3 } });

  it('converts Display P3 to sRGB at 8 bits', async () => {
    const file = await swatches().withIccProfile('p3').png().toBuffer();
    const { data } = await (await open(file)).pixels();
    COLOURS.forEach((level, i) => void expect(Math.abs(data[i]! - level)).toBeLessThanOrEqual(3));
  });

  it('converts an embedded profile to sRGB at 16 bits', async () => {
    const levels = Uint16Array.from(COLOURS, (level) => level * 257);
    const deep = sharp(levels, { raw: { width: 4, height: 1, channels: 3 } }).toColourspace('rgb16');
    // The library takes 16-bit samples for Display P3, so both files show the same colours.
    const p3 = await open(await deep.clone().withIccProfile('p3').png().toBuffer());
    const srgbFile = await deep.clone().withIccProfile('srgb').png().toBuffer();
    const asStored = await open(
      await sharp(srgbFile, { ignoreIcc: true }).toColourspace('rgb16').png().toBuffer(),
    );
    const srgb = await open(srgbFile);
    expect(srgb).toMatchObject({ bits: 16, channels: 3 });
    expect(maxDiff(await srgb.pixels(), await asStored.pixels())).toBeLessThanOrEqual(2);
    expect(maxDiff(await p3.pixels(), await srgb.pixels())).toBeLessThanOrEqual(64);
    expect((await p3.pixels()).data[9]).toBeGreaterThan(205 * 257);
  });

  it('converts CMYK without a profile to sRGB', async () => {
    const file = await swatches()
      .toColourspace('cmyk')
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    const image = await open(file);
    const { data, channels } = await image.pixels();
    expect(image.source).toMatchObject({ space: 'cmyk', channels: 4 });
    expect(image.channels).toBe(3);
    expect(channels).toBe(3);
    expect(data[0]).toBeGreaterThan(200);
    expect(data[1]).toBeLessThan(40);
    expect(Math.abs(data[6]! - data[8]!)).toBeLessThan(16);
  });

  it.each(['lab', 'scrgb'])('converts %s samples to 8-bit sRGB', async (space) => {
    const file = await swatches().toColourspace(space).tiff({ compression: 'none' }).toBuffer();
    const image = await open(file);
    const { data } = await image.pixels();
    expect(image).toMatchObject({ channels: 3, bits: 8 });
    COLOURS.forEach((level, i) => void expect(Math.abs(data[i]! - level)).toBeLessThanOrEqual(1));
  });

  it('keeps grey with a profile grey', async () => {
    const file = await sharp(await pngOf(picture({ channels: 1, bits: 8 })))
      .toColourspace('b-w')
      .withIccProfile('srgb')
      .jpeg()
      .toBuffer();
    const image = await open(file);
    expect((await image.pixels()).channels).toBe(image.channels);
  });
});

describe('what is refused before decoding', () => {
  it.each([
    ['nothing', Buffer.alloc(0), /empty/],
    ['text', Buffer.from('hello, world'), /begins with 0x68656c6c6f2c2077/],
    ['PDF', Buffer.from('%PDF-1.7 …'), /looks like PDF/],
    ['BMP', Buffer.from('BM000000000000'), /looks like BMP/],
    ['HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), /looks like HEIC/],
    ['PPM', Buffer.from('P6 1 1 255 \0\0\0'), /expected JPEG, PNG, WebP, AVIF, TIFF or GIF/],
    ['SVG', SVG, /SVG, which is not allowed here/],
  ])('%s', async (_, bytes, words) => {
    await expect(open(bytes)).rejects.toMatchObject({
      failureType: 'not-an-image',
      message: expect.stringMatching(words),
    });
  });

  it('a file of too many bytes', async () => {
    const refusal = open(await pngOf(picture()), { inputBytes: 50 });
    await expect(refusal).rejects.toMatchObject({
      failureType: 'limit-exceeded',
      message: expect.stringMatching(/limit is 50/),
    });
  });

  it('an image of too many pixels', async () => {
    const refusal = open(await pngOf(picture()), { pixels: 37 * 23 - 1 });
    await expect(refusal).rejects.toMatchObject({
      failureType: 'limit-exceeded',
      message: expect.stringMatching(/851 pixels \(37 × 23\)/),
    });
    await expect(open(await pngOf(picture()), { pixels: 37 * 23 })).resolves.toBeDefined();
  });

  it('an image of a format that would take more memory than there is, before it is decoded', async () => {
    const [avif, png] = await Promise.all(
      (['avif', 'png'] as const).map((format) =>
        flat(2_000, 2_000).toFormat(format, { effort: 1 }).toBuffer(),
      ),
    );
    const memoryBytes = 128 * MIB;

    await expect(open(avif!, { memoryBytes })).rejects.toMatchObject({
      failureType: 'limit-exceeded',
      message: expect.stringMatching(
        /4,000,000 pixels \(2000 × 2000\); of AVIF at most 3,289,\d+ can be decoded within the 128\.0 MiB .*CHILD_MAX_MEMORY/,
      ),
    });
    await expect(open(avif!, { memoryBytes: 256 * MIB })).resolves.toBeDefined();
    await expect(open(png!, { memoryBytes })).resolves.toBeDefined();
  });

  it('a bomb whose header promises more than the limit', async () => {
    const bomb = await sharp({ create: { width: 16_000, height: 16_000, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await expect(open(bomb)).rejects.toMatchObject({ failureType: 'limit-exceeded' });
  });

  it('an animation of too many frames, or of too many pixels over all of them', async () => {
    const raw = { width: 20, height: 50, channels: 3, pageHeight: 10 } as const;
    const gif = await sharp(
      Buffer.alloc(3000).map((_, i) => (i * 7) % 256),
      { raw },
    )
      .gif()
      .toBuffer();
    await expect(open(gif, { frames: 4 })).rejects.toMatchObject({
      message: expect.stringMatching(/5 frames; the limit is 4/),
    });
    await expect(open(gif, { pixels: 999 })).rejects.toMatchObject({ failureType: 'limit-exceeded' });
    await expect(open(gif, { frames: 5, pixels: 1000 })).resolves.toBeDefined();
  });
});

describe('SVG, where it is allowed', () => {
  it('is drawn at its own size', async () => {
    const image = await open(SVG, { svg: true });
    expect(await image.pixels()).toMatchObject({ width: 40, height: 20, channels: 4 });
  });

  it('is refused beyond the limit, and blocked again afterwards', async () => {
    const huge = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"/>');
    await expect(open(huge, { svg: true })).rejects.toMatchObject({ failureType: 'limit-exceeded' });
    await expect(open(SVG)).rejects.toMatchObject({ failureType: 'not-an-image' });
  });
});

describe('a damaged file', () => {
  const photo = picture({ channels: 3, bits: 8 }, 200, 150);

  it.each(OUTPUT_FORMATS)('%s cut in half is refused in words', async (format) => {
    const file = await pipelineOver(photo).toFormat(format).toBuffer();
    const use = open(file.subarray(0, file.length / 2)).then((image) => image.pixels());
    await expect(use).rejects.toMatchObject({
      failureType: 'not-an-image',
      message: expect.stringMatching(/damaged|not an image/),
    });
  });

  it('is refused when only the last bytes of a JPEG are missing', async () => {
    const file = await pipelineOver(photo).jpeg().toBuffer();
    const image = await open(file.subarray(0, file.length - 2));
    await expect(image.pixels()).rejects.toMatchObject({
      failureType: 'not-an-image',
      message: expect.stringMatching(/damaged or truncated JPEG.*premature end/),
    });
  });

  it('is read when the fault is one that viewers ignore', async () => {
    const file = await pipelineOver(photo).jpeg().toBuffer();
    const stray = Buffer.concat([file.subarray(0, -2), Buffer.from([1, 2, 3, 4]), file.subarray(-2)]);
    await expect((await open(stray)).pixels()).resolves.toMatchObject({ width: 200 });
  });
});
