/** What is particular to storage in S3: its failures, and servers that know less than AWS. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { tryStorage } from '../../../runtime/cli/doctor/try-storage.ts';
import { Retryable, UserError } from '../../../runtime/errors.ts';
import { isStorageVariable, openStorage } from '../../../runtime/storage/open.ts';
import { ObjectNotFound, type StorageOptions } from '../../../runtime/storage/storage.ts';
import { selfSignedCertificate } from '../../support/certificates.ts';
import { type S3Fault, type S3Server, type S3ServerOptions, startS3Server } from '../../support/s3-server.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

test('keeps the content type', async () => {
  await using site = await startSite();
  await site.storage.write('a.webp', Buffer.from('x'), { contentType: 'image/webp' });

  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  const { endpoint, bucket, credentials } = site.server;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  const { ContentType } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'images/a.webp' }));

  expect(ContentType).toBe('image/webp');
});

test('takes its credentials from the environment of the AWS SDK', async () => {
  await using server = await startS3Server();

  await runProgram(server, "await storage.write('a', Buffer.from('from a child'));");

  expect(String(await (await openStorage(server.url, server)).read('a'))).toBe('from a child');
});

test.each<[string, S3Fault, Partial<Retryable>, string]>([
  ['500', { kind: 'status', status: 500 }, { failureType: 'storage' }, 'S3 answered 500 InternalError'],
  ['503', { kind: 'status', status: 503, code: 'SlowDown' }, { failureType: 'storage' }, 'slow down'],
  ['429', { kind: 'status', status: 429, code: 'TooManyRequests' }, { failureType: 'storage' }, 'slow down'],
  [
    '403',
    { kind: 'status', status: 403, code: 'AccessDenied' },
    { failureType: 'storage' },
    'check the AWS_* credentials',
  ],
  [
    'an expired token',
    { kind: 'status', status: 400, code: 'ExpiredToken' },
    { failureType: 'storage' },
    'check the AWS_* credentials',
  ],
  [
    'another region',
    { kind: 'status', status: 301, code: 'PermanentRedirect' },
    { failureType: 'storage' },
    'correct region=',
  ],
  [
    'no bucket',
    { kind: 'status', status: 404, code: 'NoSuchBucket' },
    { failureType: 'storage' },
    'no such bucket',
  ],
  ['no answer', { kind: 'silent' }, { failureType: 'network' }, 'did not answer in time'],
  ['a lost connection', { kind: 'cut' }, { failureType: 'network' }, 'cannot be reached'],
])('retries after %s, saying so', async (_what, fault, expected, words) => {
  await using site = await startSite({}, { idleTimeoutMs: 200 });
  await site.storage.write('a', Buffer.from('x'));
  site.server.fault(fault);

  for (const work of [() => site.storage.read('a'), () => site.storage.write('b', Buffer.from('x'))]) {
    const error = await work().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Retryable);
    expect(error).not.toBeInstanceOf(ObjectNotFound);
    expect(error).toMatchObject({ ...expected, consequence: 'retry' });
    expect(String(error)).toContain(words);
  }

  site.server.fault(undefined);
  expect(String(await site.storage.read('a'))).toBe('x');
});

test('tries a few times by itself, then leaves it to the task', async () => {
  await using site = await startSite();
  await site.storage.write('a', Buffer.from('x'));
  site.server.requests.length = 0;

  site.server.fault({ kind: 'status', status: 503, times: 2 });
  expect(String(await site.storage.read('a'))).toBe('x');
  expect(site.server.requests).toHaveLength(3);

  site.server.fault({ kind: 'status', status: 503 });
  await expect(site.storage.read('a')).rejects.toBeInstanceOf(Retryable);
  expect(site.server.requests).toHaveLength(6);
});

test('retries a body that breaks off, and gives out no part of it', async () => {
  await using site = await startSite();
  await site.storage.write('a', randomBytes(2_000_000));
  site.server.fault({ kind: 'cut', afterBytes: 1000 });

  await expect(site.storage.read('a')).rejects.toMatchObject({
    consequence: 'retry',
    failureType: 'network',
  });
});

test('cannot reach a server that is not there', async () => {
  await using server = await startS3Server();
  const storage = await openStorage(server.url, { ...server, attempts: 1 });
  await server[Symbol.asyncDispose]();

  await expect(storage.read('a')).rejects.toMatchObject({ failureType: 'network', consequence: 'retry' });
});

test('asks the AWS SDK where its own short way is refused, and gives that up after a few times', async () => {
  await using site = await startSite();
  await site.storage.write('a', Buffer.from('x'));
  const isShort = ({ headers }: IncomingMessage) => headers['amz-sdk-invocation-id'] === undefined;
  site.server.fault({ kind: 'status', status: 403, code: 'AccessDenied', of: isShort });

  const requests = [];
  for (let turn = 0; turn < 5; turn++) {
    site.server.requests.length = 0;
    expect(String(await site.storage.read('a'))).toBe('x');
    requests.push(site.server.requests.length);
  }

  expect(requests).toEqual([2, 2, 2, 1, 1]);
});

test('sends no checksum for what carries its own', async () => {
  await using site = await startSite();
  const bytes = randomBytes(100_000);
  await site.storage.write('a', bytes);
  await site.storage.write('b', bytes, { hasChecksum: true });
  await site.storage.write('c', bytes.subarray(0, 100), { hasChecksum: true });

  const sent = site.server.headers.map((headers) => headers['x-amz-content-sha256']);
  const hash = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(sent).toEqual([hash, 'UNSIGNED-PAYLOAD', hash]);
});

test('signs all of a small object, and over TLS only the checksum of a large one', async () => {
  await using folder = await temporaryFolder();
  const certificate = await selfSignedCertificate(['127.0.0.1']);
  await writeFile(path.join(folder.path, 'ca.pem'), certificate.cert);
  await using server = await startS3Server({ certificate });

  await runProgram(
    server,
    `const bytes = Buffer.alloc(1_000_000, 'abc');
    await storage.write('small', bytes.subarray(0, 1_000));
    await storage.write('large', bytes);
    if (!(await storage.read('large')).equals(bytes)) throw new Error('not as it was written');`,
    { NODE_EXTRA_CA_CERTS: path.join(folder.path, 'ca.pem') },
  );

  expect(server.requests).toHaveLength(3);
  const [small, large] = server.headers;
  expect(small).toMatchObject({ 'x-amz-content-sha256': expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(large).toMatchObject({
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-amz-checksum-crc32': expect.stringMatching(/^[\w+/]{6}==$/),
  });
});

test('stops at once when it is told to, in the middle of a wait', async () => {
  await using site = await startSite();
  site.server.fault({ kind: 'silent' });
  const reason = new Retryable('the deadline', { failureType: 'timeout' });
  const stop = new AbortController();
  const reading = site.storage.read('a', { signal: stop.signal });
  const writing = site.storage.write('b', Buffer.from('x'), { signal: stop.signal });
  while (site.server.requests.length < 2) await new Promise(setImmediate);

  stop.abort(reason);

  await expect(reading).rejects.toBe(reason);
  await expect(writing).rejects.toBe(reason);
});

test('writes conditionally where the server does not know how, and says so once', async () => {
  const warnings: string[] = [];
  await using site = await startSite(
    { conditionalWrites: 'unknown' },
    { warn: (message) => warnings.push(message) },
  );

  expect(await site.storage.write('a', Buffer.from('1'), { ifAbsent: true })).toBe(true);
  expect(await site.storage.write('a', Buffer.from('2'), { ifAbsent: true })).toBe(false);
  expect(await site.storage.write('b', Buffer.from('3'), { ifAbsent: true })).toBe(true);

  expect(String(await site.storage.read('a'))).toBe('1');
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain('does not know conditional writes');
});

test('finds out in its check that a server ignores conditions', async () => {
  await using site = await startSite({ conditionalWrites: 'ignored' });

  const warnings = await tryStorage(site.storage);

  expect(warnings.join()).toContain('ignores conditional writes');
  expect(await site.storage.write('a', Buffer.from('1'), { ifAbsent: true })).toBe(true);
  expect(await site.storage.write('a', Buffer.from('2'), { ifAbsent: true })).toBe(false);
});

test.each(['ignored', 'racy', 'unknown'] as const)(
  'says of a server to which conditions are %s that it does not keep the first write',
  async (conditionalWrites) => {
    await using site = await startSite({ conditionalWrites });

    expect(await site.storage.keepsFirstWrite()).toBe(false);
  },
);

test('has its own variables of the environment, and no others, passed on to a child', () => {
  const names = [
    'AWS_SECRET_ACCESS_KEY',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AMQP_URL',
    'MY_AWS_KEY',
    'STORAGE_URL',
  ];

  expect(names.filter(isStorageVariable)).toEqual(['AWS_SECRET_ACCESS_KEY', 'AWS_WEB_IDENTITY_TOKEN_FILE']);
});

test('tells in its check what is wrong and how to fix it', async () => {
  await using site = await startSite();
  site.server.fault({ kind: 'status', status: 403, code: 'AccessDenied' });

  const error = await tryStorage(site.storage).catch((thrown: unknown) => thrown);

  expect(error).toBeInstanceOf(UserError);
  expect(String(error)).toContain('Cannot write to the storage');
  expect(String(error)).toContain('s3:ListBucket');
});

test('knows unknown credentials when it meets them', async () => {
  await using server = await startS3Server();
  const storage = await openStorage(server.url, {
    credentials: { accessKeyId: 'nobody', secretAccessKey: 'CANARY' },
  });

  const error = await storage.write('a', Buffer.from('x')).catch((thrown: unknown) => thrown);

  expect(String(error)).toContain('check the AWS_* credentials');
  expect(String(error)).not.toContain('CANARY');
});

/** Runs a process that has the server's storage open, and its credentials in its environment only. */
async function runProgram({ url, env }: S3Server, program: string, more: object = {}): Promise<void> {
  const module = new URL('../../../runtime/storage/open.ts', import.meta.url).pathname;
  const opening = `import { openStorage } from ${JSON.stringify(module)};
    const storage = await openStorage(${JSON.stringify(url)});`;
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', opening + program], {
    env: { PATH: process.env.PATH, ...env, ...more },
  });
}

interface Site extends AsyncDisposable {
  server: S3Server;
  storage: Awaited<ReturnType<typeof openStorage>>;
}

async function startSite(serverOptions: S3ServerOptions = {}, options: StorageOptions = {}): Promise<Site> {
  const server = await startS3Server(serverOptions);
  const storage = await openStorage(server.url, { credentials: server.credentials, ...options });
  return { server, storage, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
