/** No key reads, writes, removes or lists anything outside the root of a storage. */
import { link, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { folderOpener, pathOpener } from '../../../runtime/storage/folder.ts';
import { openInputs } from '../../../runtime/storage/inputs.ts';
import { assertUserKey } from '../../../runtime/storage/keys.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { openFileStorage } from '../../../runtime/storage/open-file.ts';
import type { Storage } from '../../../runtime/storage/storage.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Beside the root stand `secret` and `outside/secret`; `@` in a key stands for the parent of the root. */
const REFUSED_KEYS = [
  // up
  '..',
  '../',
  '../secret',
  '../outside/secret',
  '../../secret',
  '../../../../../../../../etc/passwd',
  'a/..',
  'a/../..',
  'a/../../secret',
  'a/b/../../../secret',
  './secret',
  '.',
  './',
  './..',
  './../secret',
  'a/.',
  'a/./b',
  'a/./../../secret',
  'a/..//..//secret',
  '..//secret',
  '../root/../secret',
  'a/../b',
  'photos/../../secret',
  'photos/..',
  '.../secret',
  '..../secret',
  '.. /secret',
  '. ./../secret',
  ' ../secret',
  'a/ ..',
  ' ',
  '  /x',
  '. .',
  '.. .',
  'a/. /b',
  'a/.../b',
  'a/. . ./b',
  // absolute
  '/',
  '//',
  '/secret',
  '/etc/passwd',
  '//etc/passwd',
  '///etc/passwd',
  '@/secret',
  '@/outside/secret',
  '/..',
  '/../secret',
  '/./secret',
  '/proc/self/environ',
  '/dev/stdin',
  '/proc/self/fd/0',
  '//host/share/x',
  '/a',
  // drives, shares and devices of Windows
  'C:',
  'C:/secret',
  'c:secret',
  'C:\\secret',
  'Z:/..',
  '\\\\host\\share\\x',
  '\\\\?\\C:\\x',
  '\\\\.\\pipe\\x',
  '\\secret',
  '\\',
  // backslashes
  '..\\secret',
  '..\\..\\secret',
  'a\\..\\..\\secret',
  'a/..\\../secret',
  '..\\/secret',
  '.\\secret',
  'a\\b',
  'a\\',
  'a/\\../b',
  '\\..\\secret',
  // NUL and other control characters
  '\0',
  'a\0',
  'a\0.png',
  '../secret\0.png',
  '\0../secret',
  'a\n',
  '\na',
  'a\r\nb',
  'a\tb',
  '..\n/secret',
  '.\0./secret',
  'a/\x01',
  'a\x7f',
  '\x1b[2J',
  'a\x85b',
  'a\u2028b',
  'a\u2029b',
  '..\t/secret',
  '\x08../secret',
  // empty parts
  '',
  'a//b',
  'a/',
  'a//',
  '//a',
  'photos//cat.jpg',
  'a///b',
  'a/ /b',
  // too long, not text
  'a'.repeat(256),
  `${'a/'.repeat(500)}a`,
  `${'../'.repeat(300)}secret`,
  'ä'.repeat(128),
  `${'x'.repeat(250)}/${'y'.repeat(256)}`,
  '\ud800',
  'a/\udfff',
  '\udc00\ud800',
  '..\ud800/secret',
];

/** Good keys that look bad: they are names like any other and stay inside. */
const LITERAL_KEYS = [
  '%2e%2e/secret',
  '%2e%2e%2fsecret',
  '..%2fsecret',
  '..%5csecret',
  '%252e%252e/secret',
  '%c0%ae%c0%ae/secret',
  '%00',
  '~/secret',
  '~root/secret',
  '$HOME/secret',
  '`id`',
  '$(id)',
  '-rf',
  '--help',
  '*',
  '?',
  '..secret',
  '...secret',
  'secret..',
  'a..b',
  '．．/secret',
  '‥/secret',
  '․․/secret',
  '..∕secret',
  '..⁄secret',
  '。。/secret',
  'proc/self/environ',
  'etc/passwd',
  'file:/secret',
  '{a,b}',
  'a;b',
  'a|b',
  'a&b',
  '#',
  'a?b=c',
];

test('has more than a hundred keys', () => {
  expect(new Set(REFUSED_KEYS).size).toBeGreaterThan(100);
});

describe.each([
  ['a folder', folderOpener],
  ['a folder without /proc', pathOpener],
])('storage in %s', (_kind, opener) => {
  test('refuses every bad key in every call', async () => {
    await using site = await startSite(opener);
    const before = await site.outside();

    for (const text of REFUSED_KEYS) {
      const key = text.replace('@', site.parent);
      for (const [call, work] of calls(site.storage, key)) {
        // The empty prefix means all of the storage in a list.
        if (call === 'list' && (key === '' || key === '/')) continue;
        // A slash at the end of a prefix is a manner of writing it.
        if (['list', 'removeAll'].includes(call) && key === 'a/') continue;
        expect(await thrownBy(work), `${call} ${JSON.stringify(key)}`).toBeInstanceOf(Rejection);
      }
    }

    expect(await site.outside()).toEqual(before);
    expect(await Array.fromAsync(site.storage.list(''))).toEqual([]);
  });

  test('keeps keys that only look bad inside the root', async () => {
    await using site = await startSite(opener);
    const before = await site.outside();

    for (const key of LITERAL_KEYS) {
      await site.storage.write(key, Buffer.from(key));
      expect(String(await site.storage.read(key))).toBe(key);
    }
    expect(await Array.fromAsync(site.storage.list(''))).toHaveLength(LITERAL_KEYS.length);
    for (const key of LITERAL_KEYS) await site.storage.remove(key);

    expect(await site.outside()).toEqual(before);
    expect(await Array.fromAsync(site.storage.list(''))).toEqual([]);
  });

  test('follows no symbolic link', async () => {
    await using site = await startSite(opener);
    const before = await site.outside();
    await symlink('../secret', site.inside('file'));
    await symlink('../outside', site.inside('folder'));
    await symlink(path.join(site.parent, 'outside'), site.inside('absolute'));
    await symlink('folder', site.inside('chain'));
    await symlink('../new', site.inside('dangling'));
    await symlink('/', site.inside('everything'));
    await mkdir(site.inside('deep/er'), { recursive: true });
    await symlink('../../../outside', site.inside('deep/er/folder'));
    await symlink('.', site.inside('self'));

    const keys = [
      'file',
      'folder/secret',
      'folder/new',
      'absolute/secret',
      'chain/secret',
      'dangling',
      'deep/er/folder/secret',
      'self/x',
      'self/self/x',
    ];
    for (const key of [...keys, `everything${site.parent}/secret`, 'everything/etc/passwd']) {
      for (const [call, work] of calls(site.storage, key)) {
        // Removing a link itself is harmless, and a prefix that is a link is looked at below.
        if (['remove', 'removeAll', 'list'].includes(call)) await work().catch(() => {});
        else expect(await thrownBy(work), `${call} ${key}`).toBeInstanceOf(Rejection);
      }
    }
    for (const prefix of ['folder', 'chain', 'absolute', 'deep/er/folder', 'everything']) {
      expect(await thrownBy(() => site.storage.removeAll(prefix)), prefix).toBeInstanceOf(Rejection);
      expect(await thrownBy(() => Array.fromAsync(site.storage.list(prefix))), prefix).toBeInstanceOf(
        Rejection,
      );
    }
    expect(await Array.fromAsync(site.storage.list(''))).toEqual([]);
    await site.storage.removeAll('deep');

    expect(await site.outside()).toEqual(before);
  });

  test('refuses links in place of its own folders', async () => {
    await using site = await startSite(opener);
    const before = await site.outside();
    await rm(site.inside('.darkroom'), { recursive: true, force: true });
    await symlink('../outside', site.inside('.darkroom'));

    expect(await thrownBy(() => site.storage.write('key', Buffer.from('x')))).toBeInstanceOf(Rejection);
    expect(await thrownBy(() => site.storage.write('.darkroom/key', Buffer.from('x')))).toBeInstanceOf(
      Rejection,
    );

    expect(await site.outside()).toEqual(before);
  });

  test('allows that the root itself is a link', async () => {
    await using site = await startSite(opener);
    const root = path.join(site.parent, 'link');
    await symlink('root', root);
    const storage = await openFileStorage(root, opener);

    await storage.write('a/b', Buffer.from('x'));

    expect(String(await site.storage.read('a/b'))).toBe('x');
  });

  test('reads only files: no folder, pipe, socket or device', async () => {
    await using site = await startSite(opener);
    await mkdir(site.inside('folder'));
    await using _pipe = await makePipe(site.inside('pipe'));

    for (const key of ['folder', 'pipe']) {
      expect(await thrownBy(() => site.storage.read(key)), key).toMatchObject({
        failureType: 'input-not-found',
      });
      expect(await site.storage.stat(key)).toBeUndefined();
    }
  });

  test('takes the bytes of a hard link as its own, and leaves the other name alone when it is written', async () => {
    await using site = await startSite(opener);
    await link(path.join(site.parent, 'secret'), site.inside('hard'));

    await site.storage.write('hard', Buffer.from('new'));

    expect(await readFile(path.join(site.parent, 'secret'), 'utf8')).toBe('SECRET');
  });
});

test('is not led out by a folder that is swapped for a link again and again', async () => {
  await using site = await startSite(folderOpener);
  const before = await site.outside();
  await mkdir(site.inside('real'));
  await writeFile(site.inside('real/secret'), 'harmless');
  await symlink('../outside', site.inside('trap'));
  await mkdir(site.inside('own'));
  let stop = false;
  const swapping = (async () => {
    for (let turn = 0; !stop; turn++) {
      // A write may have made the folder anew in between; then it makes way.
      const swap = turn % 2 === 0 ? site.inside('real') : site.inside('trap');
      await rename(swap, site.inside('folder')).catch(() => {});
      await rename(site.inside('folder'), swap).catch(() =>
        rm(site.inside('folder'), { recursive: true, force: true }),
      );
    }
  })();

  const seen = new Set<string>();
  for (let round = 0; round < 400; round++) {
    const reading = site.storage.read('folder/secret').then(String, (error: Error) => error.constructor.name);
    await Promise.allSettled([
      site.storage.write(`folder/new-${round % 5}`, Buffer.from('x')),
      site.storage.remove('folder/secret-2'),
      site.storage.stat('folder/secret'),
      Array.fromAsync(site.storage.list('folder')),
    ]);
    seen.add(await reading);
  }
  stop = true;
  await swapping;

  expect(seen).not.toContain('SECRET');
  expect(await site.outside()).toEqual(before);
});

test('S3 sends nothing for a bad key and keeps good ones below the prefix', async () => {
  await using server = await startS3Server();
  const storage = await openStorage(server.url, { credentials: server.credentials });
  for (const text of REFUSED_KEYS) {
    const key = text.replace('@', '/tmp');
    for (const [call, work] of calls(storage, key)) {
      if (call === 'list' && (key === '' || key === '/')) continue;
      if (['list', 'removeAll'].includes(call) && key === 'a/') continue;
      expect(await thrownBy(work), `${call} ${JSON.stringify(key)}`).toBeInstanceOf(Rejection);
    }
  }
  expect(server.requests).toEqual([]);

  for (const key of LITERAL_KEYS) {
    await storage.write(key, Buffer.from(key));
    expect(String(await storage.read(key))).toBe(key);
  }
  expect(
    server.requests.every((request) => request.split(' ')[1]!.startsWith(`/${server.bucket}/images/`)),
  ).toBe(true);
});

test.each([
  '.darkroom',
  '.darkroom/x',
  '.darkroom/work/1',
  '.DARKROOM/x',
  '.Darkroom/x',
  '.darKroom/x',
  '．darkroom/x',
  '.darkroom./x',
  '.darkroom /x',
  '.darkroom. ./x',
  '.dark\u200broom/x',
  '.dark\u00adroom/x',
  '.darkroom::$INDEX_ALLOCATION/x',
  'DARKRO~1/x',
  'darkro~2',
  '\ufeff.darkroom/x',
])('the key %j of a sender cannot enter the runtime’s folder', async (key) => {
  await using site = await startSite(folderOpener);
  const inputs = openInputs({ storage: site.storage });

  expect(() => assertUserKey(key, 'output.key')).toThrow('reserved for the runtime');
  await expect(inputs.read(key)).rejects.toMatchObject({
    failureType: 'input-forbidden',
    consequence: 'reject',
  });
});

test('the runtime itself may enter its folder, a sender one with a like name', async () => {
  await using site = await startSite(folderOpener);
  await site.storage.write('.darkroom/work/1', Buffer.from('x'));

  expect(await site.storage.stat('.darkroom/work/1')).toBeDefined();
  for (const key of ['darkroom/x', 'x/.darkroom/y', '.darkroom2/x', '.dark/room'])
    expect(() => assertUserKey(key)).not.toThrow();
  expect(await thrownBy(() => site.storage.write('.darkroom/tmp/x', Buffer.from('x')))).toBeInstanceOf(
    Rejection,
  );
});

type Call = [name: string, work: () => Promise<unknown>];

function calls(storage: Storage, key: string): Call[] {
  return [
    ['read', () => storage.read(key)],
    ['write', () => storage.write(key, Buffer.from('escaped'))],
    ['write if absent', () => storage.write(key, Buffer.from('escaped'), { ifAbsent: true })],
    ['stat', () => storage.stat(key)],
    ['remove', () => storage.remove(key)],
    ['removeAll', () => storage.removeAll(key)],
    ['list', () => Array.fromAsync(storage.list(key))],
  ];
}

async function thrownBy(work: () => Promise<unknown>): Promise<unknown> {
  return await work().then(
    (value) => `nothing was thrown, but returned: ${String(value)}`,
    (error) => error,
  );
}

interface Site extends AsyncDisposable {
  parent: string;
  storage: Storage;
  inside(name: string): string;
  /** Everything beside the root, with contents. */
  outside(): Promise<Record<string, string>>;
}

/** A folder with a storage in `root` and secrets beside it. */
async function startSite(opener: typeof folderOpener | typeof pathOpener): Promise<Site> {
  const folder = await temporaryFolder();
  const root = path.join(folder.path, 'root');
  await writeFile(path.join(folder.path, 'secret'), 'SECRET');
  await mkdir(path.join(folder.path, 'outside'));
  await writeFile(path.join(folder.path, 'outside', 'secret'), 'SECRET');
  return {
    parent: folder.path,
    storage: await openFileStorage(root, opener),
    inside: (name) => path.join(root, name),
    async outside() {
      const names = await readdir(folder.path, { recursive: true, withFileTypes: true });
      const files = names
        .map((entry) => ({ entry, file: path.join(entry.parentPath, entry.name) }))
        .filter(({ file }) => file !== root && !file.startsWith(`${root}/`));
      const contents = files.map(async ({ entry, file }) => [
        file,
        entry.isFile() ? await readFile(file, 'utf8') : 'folder',
      ]);
      return Object.fromEntries(await Promise.all(contents));
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function makePipe(file: string): Promise<AsyncDisposable> {
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  await promisify(execFile)('mkfifo', [file]);
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}
