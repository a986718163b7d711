import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Pixels } from '../../../runtime/filter.ts';
import {
  DamagedIntermediate,
  isIntermediate,
  packIntermediate,
  unpackIntermediate,
} from '../../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { maxDiff } from '../../support/compare.ts';
import { KINDS, picture, pngOf, sourceOf } from '../../support/pictures.ts';

const unpack = (bytes: Buffer, limits = {}) => unpackIntermediate(bytes, { ...DEFAULT_LIMITS, ...limits });
const pack = (pixels: Pixels) => packIntermediate(pixels, sourceOf(pixels));

describe('an intermediate', () => {
  it('carries any samples and what the file said, bit for bit', async () => {
    const kinds = fc.constantFrom(...KINDS);
    const sides = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(kinds, sides, sides, async (kind, width, height) => {
        const original = picture(kind, width, height);
        const image = await unpack(await pack(original));
        expect(maxDiff(await image.pixels(), original)).toBe(0);
        expect(image).toMatchObject({
          width,
          height,
          channels: kind.channels,
          bits: kind.bits,
          source: sourceOf(original),
        });
      }),
    );
  });

  it.each(KINDS)('opens $name for a pipeline', async (kind) => {
    const original = picture(kind);
    const image = await unpack(await pack(original));
    const png = await image.pipeline().png().toBuffer();
    expect(png.equals(await pngOf(original))).toBe(true);
  });

  it('is told from image files', async () => {
    expect(isIntermediate(await pack(picture()))).toBe(true);
    expect(isIntermediate(await pngOf(picture()))).toBe(false);
    expect(isIntermediate(Buffer.alloc(0))).toBe(false);
  });

  it('is refused when it is cut anywhere', async () => {
    const whole = await pack(picture({ channels: 3, bits: 8 }, 4, 4));
    for (let length = 0; length < whole.length; length++) {
      await expect(unpack(whole.subarray(0, length))).rejects.toMatchObject({
        failureType: 'not-an-image',
        message: expect.stringMatching(/^The intermediate image is damaged: /),
      });
    }
  });

  it('is refused when any bit of it is flipped', async () => {
    const whole = await pack(picture({ channels: 3, bits: 8 }, 4, 4));
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const error = await unpack(flipped).catch((thrown: unknown) => thrown);
      expect(error, `bit ${bit}`).toBeInstanceOf(DamagedIntermediate);
    }
  });

  it('is refused when its header lies about the size', async () => {
    const whole = await pack(picture());
    const lying = Buffer.from(whole.toString('latin1').replace('"width":37', '"width":99'), 'latin1');
    await expect(unpack(lying)).rejects.toThrow(/bytes of samples; expected 6831/);
  });

  it('is refused beyond the limits', async () => {
    const refusal = unpack(await pack(picture()), { pixels: 10, outputPixels: 20 });
    await expect(refusal).rejects.toMatchObject({ failureType: 'limit-exceeded' });
  });

  it('opens from memory that is not aligned', async () => {
    const original = picture({ channels: 3, bits: 16 });
    const packed = await pack(original);
    const shifted = Buffer.concat([Buffer.from([0]), packed]).subarray(1);
    expect(maxDiff(await (await unpack(shifted)).pixels(), original)).toBe(0);
  });
});
