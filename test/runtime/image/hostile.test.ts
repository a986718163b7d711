/** Damaged files of every format: each ends as an image or as a refusal in words, within bounds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TaskFailure } from '../../../runtime/errors.ts';
import { decode } from '../../../runtime/image/decode.ts';
import { encode } from '../../../runtime/image/encode.ts';
import { OUTPUT_FORMATS } from '../../../runtime/image/formats.ts';
import { packIntermediate, unpackIntermediate } from '../../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { picture, pipelineOver, sourceOf } from '../../support/pictures.ts';

const LIMITS = { ...DEFAULT_LIMITS, pixels: 1_000_000, outputPixels: 1_000_000, frames: 10 };
const REFUSALS = new Set(['not-an-image', 'limit-exceeded']);

/** Changes at relative places: a byte replaced, a stretch removed or repeated, the end cut off. */
const damage = fc.array(
  fc.record({
    kind: fc.constantFrom('replace', 'remove', 'repeat', 'cut'),
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
    length: fc.integer({ min: 1, max: 64 }),
  }),
  { minLength: 1, maxLength: 6 },
);
type Damage = typeof damage extends fc.Arbitrary<infer Value> ? Value : never;

function damaged(file: Buffer, changes: Damage): Buffer {
  return changes.reduce((bytes, { kind, at, byte, length }) => {
    const place = Math.floor(at * bytes.length);
    const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
    if (kind === 'cut') return before;
    if (kind === 'remove') return Buffer.concat([before, after.subarray(length)]);
    if (kind === 'repeat') return Buffer.concat([before, after.subarray(0, length), after]);
    return Buffer.concat([before, Buffer.of(byte), after.subarray(1)]);
  }, file);
}

async function outcome(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'image';
  } catch (error) {
    if (!(error instanceof TaskFailure)) throw error;
    expect(error.message).toMatch(/^(?:The|crop)[^\n]+$/);
    return error.failureType;
  }
}

describe('a damaged file', () => {
  it.each(OUTPUT_FORMATS)('of %s gives an image or a refusal', async (format) => {
    const file = await pipelineOver(picture({ channels: 3, bits: 8 }, 64, 48))
      .toFormat(format)
      .toBuffer();
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const found = await outcome(async () => {
          const image = await decode(damaged(file, changes), LIMITS);
          await image.pixels();
          await encode(image.pipeline().resize(20), image, { format: 'png' }, LIMITS);
        });
        expect(found === 'image' || REFUSALS.has(found)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('of an intermediate gives an image or a refusal', async () => {
    const pixels = picture({ channels: 4, bits: 16 }, 16, 12);
    const file = await packIntermediate(pixels, sourceOf(pixels));
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const found = await outcome(() => unpackIntermediate(damaged(file, changes), LIMITS));
        expect(found === 'image' || REFUSALS.has(found)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
