/** What is particular to storage in a folder: its URLs, its temporary files, full disks and killed writers. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Retryable, UserError } from '../../../runtime/errors.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { ObjectNotFound } from '../../../runtime/storage/storage.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { words } from '../../support/words.ts';

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url));
const KILLS = 25;

test('opens a folder by URL, percent-encoded, and by path', async () => {
  await using folder = await temporaryFolder();
  const root = path.join(folder.path, 'my photos ü%41');
  const byUrl = await openStorage(pathToFileURL(root).href);
  await byUrl.write('a', Buffer.from('x'));

  expect(byUrl.url).toBe(pathToFileURL(root).href);
  expect(await readdir(root)).toContain('a');
  expect(String(await (await openStorage(root)).read('a'))).toBe('x');
  expect(String(await (await openStorage(path.relative(process.cwd(), root))).read('a'))).toBe('x');
});

test('uses ./darkroom-storage by default', async () => {
  await using folder = await temporaryFolder();
  const opener = fileURLToPath(new URL('../../../runtime/storage/open.ts', import.meta.url));
  const program = `import { openStorage } from ${JSON.stringify(opener)}; console.log((await openStorage(undefined)).url);`;

  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder.path,
  });

  expect(stdout.trim()).toBe(pathToFileURL(path.join(folder.path, 'darkroom-storage')).href);
});

test.each(
  words(
    'file:photos file://server/photos file:///a%2Fb file:///a%00 http://x/y ftp://user:CANARY@x/ s3:bucket',
  ),
)('refuses the URL %j in words', async (url) => {
  const error = await openStorage(url).catch((thrown: unknown) => thrown);

  expect(error).toBeInstanceOf(UserError);
  expect(String(error)).toMatch(/[Ee]xpected/);
  expect(String(error)).not.toContain('CANARY');
});

test('says how to fix a folder that cannot be one', async () => {
  await using folder = await temporaryFolder();
  await writeFile(path.join(folder.path, 'file'), '');

  await expect(openStorage(path.join(folder.path, 'file'))).rejects.toThrow('set STORAGE_URL to another');
  await expect(openStorage(path.join(folder.path, 'file', 'below'))).rejects.toBeInstanceOf(UserError);
});

test('rejects a key whose place is taken by a folder, or lies below a file', async () => {
  await using folder = await temporaryFolder();
  const storage = await openStorage(folder.path);
  await storage.write('folder/file', Buffer.from('x'));

  await expect(storage.write('folder', Buffer.from('x'))).rejects.toMatchObject({ consequence: 'reject' });
  await expect(storage.write('folder/file/below', Buffer.from('x'))).rejects.toMatchObject({
    consequence: 'reject',
  });
  expect(await readdir(path.join(folder.path, '.darkroom', 'tmp'))).toEqual([]);
});

test('leaves no temporary file behind, whether writes succeed, lose or are stopped', async () => {
  await using folder = await temporaryFolder();
  const storage = await openStorage(folder.path);
  const stop = new AbortController();
  const large = storage.write('large', Buffer.alloc(64 * 1024 * 1024), { signal: stop.signal });
  setImmediate(() => stop.abort(new Retryable('drained', { failureType: 'cancelled' })));
  await Promise.allSettled([large]);

  await Promise.all(
    [1, 2, 3, 4].map((n) => storage.write('same', Buffer.alloc(100_000, n), { ifAbsent: true })),
  );
  await Promise.all([1, 2, 3, 4].map((n) => storage.write('same', Buffer.alloc(100_000, n))));

  {
    await using _dropped = storage.stage('staged', Buffer.alloc(100_000));
    await using staged = storage.stage('staged', Buffer.alloc(100_000));
    await staged.commit();
    await using _stopped = storage.stage('staged', Buffer.alloc(64 * 1024 * 1024), { signal: stop.signal });
  }

  expect(await readdir(path.join(folder.path, '.darkroom', 'tmp'))).toEqual([]);
});

test('sweeps temporary files of killed writers after an hour, when opened', async () => {
  await using folder = await temporaryFolder();
  const temporary = path.join(folder.path, '.darkroom', 'tmp');
  await mkdir(temporary, { recursive: true });
  const age = async (name: string, minutes: number) => {
    await writeFile(path.join(temporary, name), 'x');
    const then = new Date(Date.now() - minutes * 60_000);
    await utimes(path.join(temporary, name), then, then);
  };
  await age('stale', 61);
  await age('fresh', 59);

  await openStorage(folder.path);

  expect(await readdir(temporary)).toEqual(['fresh']);
});

test('retries when the disk or a quota is full, and leaves nothing half written', async () => {
  await using folder = await temporaryFolder();
  // A limit on the size of files fails in the middle of a write, like a full disk, and needs no rights.
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    `ulimit -f 1000; exec ${process.execPath} ${WRITER} ${folder.path} once 4000000`,
  ]);

  expect(JSON.parse(stdout)).toMatchObject({ name: 'Retryable', failureType: 'storage' });
  expect(stdout).toContain('free some space');
  expect(await readdir(folder.path, { recursive: true })).toEqual([
    '.darkroom',
    path.join('.darkroom', 'tmp'),
  ]);
});

test('a writer killed at any moment leaves each key whole', { timeout: 120_000 }, async () => {
  await using folder = await temporaryFolder();
  const storage = await openStorage(folder.path);
  let versionsSeen = 0;

  for (let kill = 0; kill < KILLS; kill++) {
    const writer = spawn(process.execPath, [WRITER, folder.path, 'forever'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(writer, 'exit');
    await once(createInterface(writer.stdout!), 'line');
    const killing = sleep(Math.random() * 60).then(() => writer.kill('SIGKILL'));
    await readWhole();
    await Promise.all([killing, ended]);
    versionsSeen += await readWhole();
  }

  expect(versionsSeen).toBeGreaterThan(KILLS);
  for (const name of await readdir(path.join(folder.path, '.darkroom', 'tmp'))) {
    expect((await stat(path.join(folder.path, '.darkroom', 'tmp', name))).isFile()).toBe(true);
  }

  /** Reads all keys; each holds the hash of its own bytes. */
  async function readWhole(): Promise<number> {
    let whole = 0;
    for await (const { key } of storage.list('')) {
      const bytes = await storage.read(key).catch((error: unknown) => {
        // The writer removes some keys to write them anew.
        if (error instanceof ObjectNotFound) return undefined;
        throw error;
      });
      if (bytes === undefined) continue;
      const hash = createHash('sha256').update(bytes.subarray(32)).digest();
      expect(bytes.subarray(0, 32).equals(hash), `${key} of ${bytes.length} bytes is whole`).toBe(true);
      whole++;
    }
    return whole;
  }
});
