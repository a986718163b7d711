/** What every storage promises, whatever is behind it. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { tryStorage } from '../../../runtime/cli/doctor/try-storage.ts';
import { Rejection, Retryable } from '../../../runtime/errors.ts';
import { pathOpener } from '../../../runtime/storage/folder.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { openFileStorage } from '../../../runtime/storage/open-file.ts';
import { ObjectNotFound, type Storage } from '../../../runtime/storage/storage.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { words } from '../../support/words.ts';

type Opened = { storage: Storage } & AsyncDisposable;

const KINDS: [kind: string, open: () => Promise<Opened>][] = [
  ['a folder', () => inFolder((folder) => openStorage(folder))],
  ['a folder without /proc', () => inFolder((folder) => openFileStorage(folder, pathOpener))],
  ['an S3 bucket', inBucket],
];

describe.each(KINDS)('storage in %s', (_kind, open) => {
  test('gives back what was written, byte for byte', async () => {
    await using opened = await open();
    const { storage } = opened;
    for (const bytes of [Buffer.alloc(0), Buffer.from('x'), randomBytes(30_000_001)]) {
      const stored = await storage.write('out/cat.webp', bytes, { contentType: 'image/webp' });

      expect(stored).toBe(true);
      expect((await storage.read('out/cat.webp')).equals(bytes)).toBe(true);
      expect(await storage.stat('out/cat.webp')).toMatchObject({ bytes: bytes.length });
    }
  });

  test('stores several pieces as one object', async () => {
    await using opened = await open();
    const { storage } = opened;
    const pieces = [randomBytes(100), Buffer.alloc(0), randomBytes(5_000_000), randomBytes(3)];

    await storage.write('cat', pieces, { hasChecksum: true });
    await storage.write('dog', pieces, { ifAbsent: true, mayTear: true });

    for (const key of ['cat', 'dog'])
      expect((await storage.read(key)).equals(Buffer.concat(pieces)), key).toBe(true);
  });

  test('reads into the room that it is given', async () => {
    await using opened = await open();
    const { storage } = opened;
    const bytes = randomBytes(300_001);
    await storage.write('cat', bytes);
    const room = Buffer.alloc(400_000);

    const read = await storage.read('cat', { allocate: (length) => room.subarray(0, length) });

    expect(read.buffer).toBe(room.buffer);
    expect(read.equals(bytes)).toBe(true);
  });

  test('keeps keys apart however they are written', async () => {
    await using opened = await open();
    const { storage } = opened;
    const keys = [
      'a b.png',
      'a+b.png',
      'a%20b.png',
      'ä/ö ü.png',
      ...words('quote"&<>.png %2e%2e/x 日本/写真.jpg ~ -rf a/b/c/d/e'),
      "it's?.png",
      ...words('x#y x=1&y=2 😀.gif .hidden a. co:lon'),
    ];
    for (const key of keys) await storage.write(key, Buffer.from(key));

    const read = await Promise.all(keys.map(async (key) => String(await storage.read(key))));
    const listed = (await Array.fromAsync(storage.list(''))).map(({ key }) => key);

    expect(read).toEqual(keys);
    expect(listed).toEqual(inByteOrder(keys));
  });

  test('replaces what is there, unless told not to', async () => {
    await using opened = await open();
    const { storage } = opened;
    expect(await storage.write('key', Buffer.from('first'))).toBe(true);
    expect(await storage.write('key', Buffer.from('second'), { ifAbsent: true })).toBe(false);
    expect(String(await storage.read('key'))).toBe('first');
    expect(await storage.write('key', Buffer.from('third'))).toBe(true);
    expect(String(await storage.read('key'))).toBe('third');
    expect(await storage.write('new', Buffer.from('new'), { ifAbsent: true })).toBe(true);
  });

  test('lets exactly one of many conditional writers win', async () => {
    await using opened = await open();
    const { storage } = opened;
    for (let round = 0; round < 5; round++) {
      const key = `race/${round}`;
      const bodies = Array.from({ length: 8 }, (_, writer) => Buffer.alloc(100_000, writer + 1));

      const won = await Promise.all(bodies.map((body) => storage.write(key, body, { ifAbsent: true })));

      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await storage.read(key)).equals(bodies[won.indexOf(true)]!)).toBe(true);
    }
  });

  test('says that nothing is there', async () => {
    await using opened = await open();
    const { storage } = opened;
    await storage.write('folder/key', Buffer.from('x'));

    for (const key of ['absent', 'absent/too', 'folder', 'folder/key/below']) {
      const error = await storage.read(key).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ObjectNotFound);
      expect(error).toMatchObject({ failureType: 'input-not-found', consequence: 'retry' });
      expect((error as Error).message).toContain(key);
      expect(await storage.stat(key)).toBeUndefined();
      expect(await storage.find(key)).toBeUndefined();
      await storage.remove(key);
    }
    expect(String(await storage.read('folder/key'))).toBe('x');
  });

  test('refuses to read more than the limit', async () => {
    await using opened = await open();
    const { storage } = opened;
    await storage.write('big', Buffer.alloc(1001));

    const refusal = storage.read('big', { maxBytes: 1000 });

    await expect(refusal).rejects.toBeInstanceOf(Rejection);
    await expect(refusal).rejects.toMatchObject({ failureType: 'limit-exceeded' });
    expect((await storage.read('big', { maxBytes: 1001 })).length).toBe(1001);
  });

  test('lists a folder in the byte order of keys, and nothing beside it', async () => {
    await using opened = await open();
    const { storage } = opened;
    const inside = ['job/a/1', 'job/a.txt', 'job/a-b', 'job/ab/2', 'job/B', 'job/z/y/x'];
    for (const key of [...inside, 'jobs/other', 'job2', '.darkroom/marker'])
      await storage.write(key, Buffer.from(key));

    const job = await Array.fromAsync(storage.list('job'));
    const all = await Array.fromAsync(storage.list(''));
    const runtime = await Array.fromAsync(storage.list('.darkroom/'));

    expect(job.map(({ key }) => key)).toEqual(inByteOrder(inside));
    expect(job.map(({ bytes }) => bytes)).toEqual(inByteOrder(inside).map((key) => key.length));
    expect(all.map(({ key }) => key)).toEqual(inByteOrder([...inside, 'jobs/other', 'job2']));
    expect(runtime.map(({ key }) => key)).toEqual(['.darkroom/marker']);
    expect(await Array.fromAsync(storage.list('nowhere'))).toEqual([]);
  });

  test('lists more than one page', { timeout: 60_000 }, async () => {
    await using opened = await open();
    const { storage } = opened;
    const keys = Array.from({ length: 1030 }, (_, index) => `many/${index}`);
    for (let first = 0; first < keys.length; first += 50) {
      await Promise.all(keys.slice(first, first + 50).map((key) => storage.write(key, Buffer.from('x'))));
    }

    const listed = await Array.fromAsync(storage.list('many'));
    await storage.removeAll('many');

    expect(listed.map(({ key }) => key)).toEqual(inByteOrder(keys));
    expect(await Array.fromAsync(storage.list(''))).toEqual([]);
  });

  test('removes a folder and nothing beside it', async () => {
    await using opened = await open();
    const { storage } = opened;
    for (const key of ['job/1', 'job/deep/2', 'job2', 'jobs/3']) await storage.write(key, Buffer.from(key));

    await storage.removeAll('job/');
    await storage.removeAll('job');
    await storage.removeAll('never/was');

    expect((await Array.fromAsync(storage.list(''))).map(({ key }) => key)).toEqual(['job2', 'jobs/3']);
    await expect(storage.removeAll('')).rejects.toBeInstanceOf(Rejection);
    await expect(storage.removeAll('..')).rejects.toBeInstanceOf(Rejection);
  });

  test('removes at least the keys of a folder that are known', async () => {
    await using opened = await open();
    const { storage } = opened;
    for (const key of ['job/1', 'job/2', 'job2']) await storage.write(key, Buffer.from(key));

    await storage.removeAll('job', ['job/1', 'job/2', 'job/never-was']);
    await storage.removeAll('job', []);

    expect((await Array.fromAsync(storage.list(''))).map(({ key }) => key)).toEqual(['job2']);
  });

  test('shows a staged write once it is committed, and nothing of one that is not', async () => {
    await using opened = await open();
    const { storage } = opened;
    await storage.write('out/cat', Buffer.from('before'));
    const after = randomBytes(5_000_000);
    {
      await using staged = storage.stage('out/cat', after);
      await using dropped = storage.stage('out/dog', after);
      await Promise.all([staged.ready, dropped.ready]);
      expect(String(await storage.read('out/cat'))).toBe('before');

      await staged.commit();
      expect((await storage.read('out/cat')).equals(after)).toBe(true);
    }

    expect((await storage.read('out/cat')).equals(after)).toBe(true);
    expect((await Array.fromAsync(storage.list(''))).map(({ key }) => key)).toEqual(['out/cat']);
  });

  test('says at the commit why a write could not be staged', async () => {
    await using opened = await open();
    const { storage } = opened;
    await using refused = storage.stage('../cat', Buffer.from('x'));
    const reason = new Retryable('the deadline', { failureType: 'timeout' });
    await using stopped = storage.stage('cat', Buffer.from('x'), { signal: AbortSignal.abort(reason) });
    await Promise.all([refused.ready, stopped.ready]);

    await expect(refused.commit()).rejects.toBeInstanceOf(Rejection);
    await expect(stopped.commit()).rejects.toBe(reason);
  });

  test('takes writes into a folder while that is removed', async () => {
    await using opened = await open();
    const { storage } = opened;
    for (let round = 0; round < 30; round++) {
      const writes = [1, 2, 3].map((n) => storage.write(`job/deep/${round}-${n}`, Buffer.from('x')));
      await using staged = storage.stage(`job/deep/${round}-4`, Buffer.from('x'));
      await Promise.all([...writes, staged.commit(), storage.removeAll('job')]);
    }
    await storage.write('job/last', Buffer.from('x'));
    expect(await storage.stat('job/last')).toBeDefined();
  });

  test('stops with the reason of the signal', async () => {
    await using opened = await open();
    const { storage } = opened;
    await storage.write('key', Buffer.from('x'));
    const reason = new Retryable('the deadline', { failureType: 'timeout' });
    const signal = AbortSignal.abort(reason);

    await expect(storage.read('key', { signal })).rejects.toBe(reason);
    await expect(storage.write('key', Buffer.from('y'), { signal })).rejects.toBe(reason);
    await expect(storage.write('other', Buffer.from('y'), { signal, ifAbsent: true })).rejects.toBe(reason);
    expect(String(await storage.read('key'))).toBe('x');
  });

  test('keeps the first of two conditional writes', async () => {
    await using opened = await open();

    expect(await opened.storage.keepsFirstWrite()).toBe(true);
    expect(await Array.fromAsync(opened.storage.list('.darkroom'))).toEqual([]);
  });

  test('passes its own check and leaves nothing behind', async () => {
    await using opened = await open();

    expect(await tryStorage(opened.storage)).toEqual([]);
    expect(await Array.fromAsync(opened.storage.list('.darkroom'))).toEqual([]);
  });
});

async function inFolder(open: (folder: string) => Promise<Storage>): Promise<Opened> {
  const folder = await temporaryFolder();
  return { storage: await open(folder.path), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

async function inBucket(): Promise<Opened> {
  const server = await startS3Server();
  const storage = await openStorage(server.url, { credentials: server.credentials });
  return { storage, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function inByteOrder(keys: string[]): string[] {
  return keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
