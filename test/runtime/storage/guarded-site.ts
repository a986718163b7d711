/** A storage with secrets beside its root, and every call that could try to reach them. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { folderOpener, pathOpener } from '../../../runtime/storage/folder.ts';
import { openFileStorage } from '../../../runtime/storage/open-file.ts';
import type { Storage } from '../../../runtime/storage/storage.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

export type Call = [name: string, work: () => Promise<unknown>];

/** Every call of a storage that takes a key. */
export function calls(storage: Storage, key: string): Call[] {
  return [
    ['read', () => storage.read(key)],
    ['write', () => storage.write(key, Buffer.from('escaped'))],
    ['write if absent', () => storage.write(key, Buffer.from('escaped'), { ifAbsent: true })],
    ['stage', () => stageAndCommit(storage, key)],
    ['stat', () => storage.stat(key)],
    ['remove', () => storage.remove(key)],
    ['removeAll', () => storage.removeAll(key)],
    ['list', () => Array.fromAsync(storage.list(key))],
  ];
}

async function stageAndCommit(storage: Storage, key: string): Promise<void> {
  await using staged = storage.stage(key, Buffer.from('escaped'));
  await staged.commit();
}

export async function thrownBy(work: () => Promise<unknown>): Promise<unknown> {
  return await work().then(
    (value) => `nothing was thrown, but returned: ${String(value)}`,
    (error) => error,
  );
}

export interface GuardedSite extends AsyncDisposable {
  parent: string;
  storage: Storage;
  inside(name: string): string;
  /** Everything beside the root, with contents. */
  outside(): Promise<Record<string, string>>;
}

/** A folder with a storage in `root` and secrets beside it. */
export async function startGuardedSite(
  opener: typeof folderOpener | typeof pathOpener,
): Promise<GuardedSite> {
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
