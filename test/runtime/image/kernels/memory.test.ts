import { expect, it } from 'vitest';
import { encode } from '../../../../runtime/image/encode.ts';
import { packIntermediate } from '../../../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../../../runtime/image/limits.ts';
import { decodeFile, filterFile, filterPixels, imageOf } from '../../../support/filters.ts';
import { picture, pngOf, sourceOf } from '../../../support/pictures.ts';

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
