/** What a task may name as its input. */
import { describe, expect, test } from 'vitest';
import { Rejection, UserError } from '../../../runtime/errors.ts';
import { type InputsOptions, openInputs } from '../../../runtime/storage/inputs.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { ObjectNotFound } from '../../../runtime/storage/storage.ts';
import { startHttpsServer } from '../../support/https-server.ts';
import { type S3Server, startS3Server } from '../../support/s3-server.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { words } from '../../support/words.ts';

test('reads a key, within the limit', async () => {
  await using folder = await temporaryFolder();
  const storage = await openStorage(folder.path);
  await storage.write('photos/cat 10:30.jpg', Buffer.from('cat'));
  const inputs = openInputs({ storage });

  expect(String(await inputs.read('photos/cat 10:30.jpg', { maxBytes: 3 }))).toBe('cat');
  await expect(inputs.read('photos/cat 10:30.jpg', { maxBytes: 2 })).rejects.toMatchObject({
    failureType: 'limit-exceeded',
  });
  await expect(inputs.read('photos/dog.jpg')).rejects.toBeInstanceOf(ObjectNotFound);
});

describe('with a folder as storage', () => {
  test.each([
    ...words(`
      http://example.com/cat.jpg HTTP://example.com/ file:///etc/passwd file:etc/passwd FILE:///etc/passwd
      ftp://example.com/x data:image/png;base64,AAAA blob:x javascript:alert(1) gs://bucket/key
      s3:bucket/key s3://bucket s3://bucket/ s3:///key s3://user:CANARY@bucket/key s3://bucket/../key
      s3://bucket//key s3://bucket/.darkroom/x s3://bucket/a/.darkroom/x s3://other/key
      https://example.com/cat.jpg https://user:CANARY@example.com/ https:example.com
    `),
    '',
    ' ',
    '../secret',
    '/etc/passwd',
    '.darkroom/work/1',
    ' https://user:CANARY@example.com/',
    '//example.com/x',
    'redis://:CANARY@host/0',
    'amqp://guest:CANARY@broker/',
  ])('%j is refused in words', async (input) => {
    await using folder = await temporaryFolder();
    const inputs = openInputs({ storage: await openStorage(folder.path), buckets: ['bucket'] });

    const error = await inputs.read(input).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(Rejection);
    expect(error).toMatchObject({ failureType: 'input-forbidden' });
    expect(String(error)).toMatch(/Expected /);
    expect(String(error)).not.toContain('CANARY');
  });
});

test.each(['a', 'ab', '-cat', 'cat.', 'c at', 'x'.repeat(64)])(
  'says what a bucket’s name is when a task names %j',
  async (bucket) => {
    await using folder = await temporaryFolder();
    const inputs = openInputs({ storage: await openStorage(folder.path) });

    await expect(inputs.read(`s3://${bucket}/cat.jpg`)).rejects.toThrow(
      /bucket's name has 3 to 63 letters, digits/,
    );
  },
);

test('reads an https URL when that is on', async () => {
  await using folder = await temporaryFolder();
  await using server = await startHttpsServer(['images.example'], (_request, response) =>
    response.end('cat'),
  );
  const hosts = [`images.example:${server.port}`];
  const seams = { ca: server.ca, resolve: async () => ['127.0.0.1'], isAllowedAddress: () => true };
  const storage = await openStorage(folder.path);
  const url = `https://images.example:${server.port}/cat.jpg`;

  expect(String(await openInputs({ storage, https: { enabled: true, hosts, ...seams } }).read(url))).toBe(
    'cat',
  );
  await expect(openInputs({ storage, https: { enabled: false, hosts, ...seams } }).read(url)).rejects.toThrow(
    'INPUT_HTTPS',
  );
});

test('reads its own bucket below its prefix, and other buckets only when they are allowed', async () => {
  await using server = await startS3Server();
  const whole = await openStorage(server.url.replace('/images?', '?'), server);
  for (const key of ['images/cat.jpg', 'images2/cat.jpg', 'private/cat.jpg', 'cat.jpg'])
    await whole.write(key, Buffer.from(key));
  const storage = await openStorage(server.url, server);
  const read = (input: string, options: Partial<InputsOptions> = {}) =>
    openInputs({ storage, storageOptions: server, ...options })
      .read(input)
      .then(String);

  expect(await read('cat.jpg')).toBe('images/cat.jpg');
  expect(await read(`s3://${server.bucket}/images/cat.jpg`)).toBe('images/cat.jpg');
  for (const key of ['private/cat.jpg', 'images2/cat.jpg', 'cat.jpg', 'images']) {
    await expect(read(`s3://${server.bucket}/${key}`)).rejects.toThrow('only images/ is allowed');
  }
  await expect(read('s3://another/cat.jpg')).rejects.toThrow('not in STORAGE_BUCKETS');

  const listed = { buckets: [server.bucket] };
  expect(await read(`s3://${server.bucket}/private/cat.jpg`, listed)).toBe('private/cat.jpg');
  await expect(read(`s3://${server.bucket}/images/.darkroom/work/1`, listed)).rejects.toThrow(
    'belongs to the runtime',
  );

  const partly = { buckets: [bucketUrl(server, 'private')] };
  expect(await read(`s3://${server.bucket}/private/cat.jpg`, partly)).toBe('private/cat.jpg');
  await expect(read(`s3://${server.bucket}/images/cat.jpg`, partly)).rejects.toThrow(
    'only private/ is allowed',
  );
});

test('reads an allowed bucket beside a folder', async () => {
  await using folder = await temporaryFolder();
  await using server = await startS3Server();
  await (await openStorage(server.url, server)).write('cat.jpg', Buffer.from('cat'));
  const inputs = openInputs({
    storage: await openStorage(folder.path),
    buckets: [bucketUrl(server, 'images')],
    storageOptions: server,
  });

  expect(String(await inputs.read(`s3://${server.bucket}/images/cat.jpg`))).toBe('cat');
});

test.each(['a/b', 'x', 's3://', 's3://user:CANARY@bucket', 's3://bucket?secret=1', 'https://bucket'])(
  'refuses %j as an allowed bucket',
  async (bucket) => {
    await using folder = await temporaryFolder();
    for (const url of [folder.path, 's3://own']) {
      const storage = await openStorage(url);

      expect(() => openInputs({ storage, buckets: [bucket] })).toThrow(UserError);
      expect(() => openInputs({ storage, buckets: [bucket] })).not.toThrow('CANARY');
    }
  },
);

function bucketUrl(server: S3Server, prefix: string): string {
  return server.url.replace('/images?', `/${prefix}?`);
}
