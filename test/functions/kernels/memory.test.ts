import { expect, it } from 'vitest';
import { encode } from '../../../runtime/image/encode.ts';
import { packIntermediate } from '../../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { allocateLike, freeSamples } from '../../../runtime/image/sample-memory.ts';
import { decodeFile, filterFile, filterPixels, imageOf } from '../../support/filters.ts';
import { KINDS, picture, pngOf, sourceOf } from '../../support/pictures.ts';

it('is given back once the samples that a filter made are encoded or packed', async () => {
  const image = imageOf(picture());
  const encoded = await filterPixels('brightness', image, { factor: 2 });
  const packed = await filterPixels('brightness', image, { factor: 2 });

  await encode(encoded, image, {}, DEFAULT_LIMITS);
  await packIntermediate(packed, sourceOf(packed));

  expect([encoded.data.length, packed.data.length]).toEqual([0, 0]);
  await expect(encode(encoded, image, {}, DEFAULT_LIMITS)).rejects.toThrow('Samples are freed');
});

it('is given back once a step over an encoded image is done, and the image can be decoded again', async () => {
  const image = await decodeFile(await pngOf(picture()));
  const decoded = await image.pixels();

  const first = await filterFile('brightness', image, { factor: 2 });
  const second = await filterFile('brightness', image, { factor: 2 });

  expect(decoded.data.length).toBe(0);
  expect(second.bytes).toEqual(first.bytes);
});

it('is kept where the samples are not a filter’s', async () => {
  const samples = picture();
  const image = imageOf(samples);
  const before = samples.data.slice();

  await encode(samples, image, {}, DEFAULT_LIMITS);
  await filterFile('brightness', image, { factor: 1 });
  await filterFile('watermark', image, { image: 'mark' }, {}, { inputs: { mark: image } });

  expect(samples.data).toEqual(before);
});

const CALLS = [
  ['flip', {}],
  ['flip', { direction: 'both' }],
  ['rotate', { angle: 10 }],
  ['rotate', { angle: 10, background: 'transparent' }],
  ['grayscale', {}],
  ['edges', { method: 'canny' }],
  ['edges', { method: 'sobel' }],
  ['edges', { method: 'laplacian' }],
  ['brightness', { factor: 1.3 }],
  ['saturation', { factor: 1.3 }],
  ['blur', { radius: 2 }],
  ['blur', { radius: 20 }],
  ['sharpen', { factor: 1.5 }],
  ['sharpen', { radius: 2 }],
  ['watermark', { image: 'mark' }],
] as const;

it.each(CALLS)(
  'leaves nothing of what was in it before: %s %j',
  { timeout: 120_000 },
  async (filter, params) => {
    const mark = imageOf(picture());
    for (const kind of KINDS) {
      const image = imageOf(picture(kind, 1100, 1000));
      const over = async (level: number) => {
        leaveBehind(level);
        const result = await filterPixels(filter, image, params, { inputs: { mark } });
        const copy = Buffer.from(result.data.slice().buffer);
        freeSamples(result);
        return copy;
      };

      const [first, second] = [await over(0x55), await over(0xaa)];

      expect(first.equals(second), kind.name).toBe(true);
    }
  },
);

/** Memory full of `level`, for the next samples to be put in. */
function leaveBehind(level: number): void {
  const data = allocateLike(new Uint8Array(), 16_000_000);
  freeSamples({ data: data.fill(level), width: 4_000, height: 4_000, channels: 1 });
}
