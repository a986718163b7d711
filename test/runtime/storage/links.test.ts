/** No link and no special file leads out of a storage in a folder, not even one that is swapped in meanwhile. */
import { link, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { folderOpener, pathOpener } from '../../../runtime/storage/folder.ts';
import { openFileStorage } from '../../../runtime/storage/open-file.ts';
import { words } from '../../support/words.ts';
import { calls, startGuardedSite, thrownBy } from './guarded-site.ts';

describe.each([
  ['a folder', folderOpener],
  ['a folder without /proc', pathOpener],
])('storage in %s', (_kind, opener) => {
  test('follows no symbolic link', async () => {
    await using site = await startGuardedSite(opener);
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

    const keys = words(`
      file folder/secret folder/new absolute/secret chain/secret dangling deep/er/folder/secret self/x
      self/self/x
    `);
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
    await using site = await startGuardedSite(opener);
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
    await using site = await startGuardedSite(opener);
    const root = path.join(site.parent, 'link');
    await symlink('root', root);
    const storage = await openFileStorage(root, opener);

    await storage.write('a/b', Buffer.from('x'));

    expect(String(await site.storage.read('a/b'))).toBe('x');
  });

  test('reads only files: no folder, pipe, socket or device', async () => {
    await using site = await startGuardedSite(opener);
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
    await using site = await startGuardedSite(opener);
    await link(path.join(site.parent, 'secret'), site.inside('hard'));

    await site.storage.write('hard', Buffer.from('new'));

    expect(await readFile(path.join(site.parent, 'secret'), 'utf8')).toBe('SECRET');
  });
});

test('is not led out by a folder that is swapped for a link again and again', async () => {
  await using site = await startGuardedSite(folderOpener);
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

async function makePipe(file: string): Promise<AsyncDisposable> {
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  await promisify(execFile)('mkfifo', [file]);
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}
