/** URLs of storage in S3. */
import { expect, test } from 'vitest';
import { UserError } from '../../../runtime/errors.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { words } from '../../support/words.ts';

test.each([
  ['s3://bucket', 's3://bucket'],
  ['s3://bucket/', 's3://bucket'],
  ['S3://bucket/a/b/', 's3://bucket/a/b'],
  ['s3://bucket/my%20photos', 's3://bucket/my%20photos'],
  ['s3://my.bucket-1?region=eu-central-1', 's3://my.bucket-1?region=eu-central-1'],
  [
    's3://bucket?endpoint=http://minio:9000',
    's3://bucket?endpoint=http%3A%2F%2Fminio%3A9000&region=us-east-1',
  ],
  ['s3://bucket?forcePathStyle=true', 's3://bucket?forcePathStyle=true'],
])('reads the URL %j', async (text, canonical) => {
  const { url } = await openStorage(text);

  expect(url).toBe(canonical);
  expect((await openStorage(url)).url).toBe(canonical);
});

test.each(
  words(`
  s3:// s3:///prefix s3://b s3://bucket/../x s3://bucket//x s3://bucket/%2e%2e/x s3://key:CANARY@bucket
  s3://bucket?secret=CANARY s3://bucket?endpoint=ftp://x s3://bucket?endpoint=nonsense
  s3://bucket?endpoint=http://user:CANARY@x s3://bucket?forcePathStyle=yes s3://bucket:9000/x
`),
)('refuses the URL %j in words', async (url) => {
  const error = await openStorage(url).catch((thrown: unknown) => thrown);

  expect(error).toBeInstanceOf(UserError);
  expect(String(error)).toContain('Expected s3://bucket/prefix');
  expect(String(error)).not.toContain('CANARY');
});

test.each(['s3://ab', 's3://a/prefix', 's3://-cat', 's3://bucket:9000'])(
  'says what a bucket’s name is when it is given %j',
  async (url) => {
    await expect(openStorage(url)).rejects.toThrow(/bucket's name has 3 to 63 letters, digits/);
  },
);
