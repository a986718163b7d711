/** What a folder of a storage holds, as a whole: listing it, removing it, and clearing unfinished writes away. */
import { link, lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { v4 as uuid } from 'uuid';
import {
  isAbsent,
  isWithoutHardLinks,
  type OpenFolder,
  splitKey,
  systemErrorCode,
  writeNew,
} from './folder.ts';
import { isKey, isRuntimeKey, TEMPORARY_FOLDER } from './keys.ts';

/** No write takes this long: what is older was left by a killed process. */
const STALE_TEMPORARY_MS = 60 * 60 * 1000;

/** The keys in a folder and below it, in their byte order. At the root, the runtime's own folder is left out. */
export async function* listTree(openFolder: OpenFolder, segments: string[]): AsyncGenerator<string, void> {
  for (const { name, kind } of await entriesOf(openFolder, segments)) {
    const key = [...segments, name].join('/');
    if (!isKey(key) || key === TEMPORARY_FOLDER) continue;
    if (kind === 'folder' && (segments.length > 0 || !isRuntimeKey(name)))
      yield* listTree(openFolder, [...segments, name]);
    if (kind === 'file') yield key;
  }
}

export async function removeObject(openFolder: OpenFolder, key: string): Promise<void> {
  const { parent, name } = splitKey(key);
  try {
    await using folder = await openFolder(parent);
    // As in S3, a folder is not an object.
    if (!(await lstat(folder.at(name))).isDirectory()) await unlink(folder.at(name));
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

interface FolderEntry {
  name: string;
  kind: 'file' | 'folder' | 'other';
}

/** What is in a folder, in the byte order of the keys below it; nothing when there is no such folder. */
async function entriesOf(openFolder: OpenFolder, segments: string[]): Promise<FolderEntry[]> {
  try {
    await using folder = await openFolder(segments);
    const found = await readdir(folder.at('.'), { withFileTypes: true });
    await folder.verify();
    const entries = found.map(
      (entry): FolderEntry => ({
        name: entry.name,
        kind: entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other',
      }),
    );
    return entries.sort((a, b) => Buffer.compare(sortName(a), sortName(b)));
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** A folder sorts as its keys do: `a/b` comes after `a.txt`. */
function sortName({ name, kind }: FolderEntry): Buffer {
  return Buffer.from(kind === 'folder' ? `${name}/` : name);
}

/** Removes a folder and all that is in it; links in it are removed, not followed. */
export async function removeTree(openFolder: OpenFolder, segments: string[]): Promise<void> {
  const entries = await entriesOf(openFolder, segments);
  for (const { name } of entries.filter(({ kind }) => kind === 'folder')) {
    await removeTree(openFolder, [...segments, name]);
  }
  try {
    await using folder = await openFolder(segments);
    for (const { name } of entries.filter(({ kind }) => kind !== 'folder'))
      await ignoreAbsent(unlink(folder.at(name)));
    await using parent = await openFolder(segments.slice(0, -1));
    await rmdir(parent.at(segments.at(-1)!));
  } catch (error) {
    // A late writer may have put something there again, and will remove it.
    if (!isAbsent(error) && !['ENOTEMPTY', 'EEXIST'].includes(systemErrorCode(error) ?? '')) throw error;
  }
}

/** Removes what killed writers left behind. */
export async function sweepTemporary(openFolder: OpenFolder): Promise<void> {
  const temporary = TEMPORARY_FOLDER.split('/');
  const entries = await entriesOf(openFolder, temporary);
  if (entries.length === 0) return;
  await using folder = await openFolder(temporary);
  for (const { name } of entries) {
    const stats = await lstat(folder.at(name)).catch(() => undefined);
    if (stats?.isFile() && Date.now() - stats.mtimeMs > STALE_TEMPORARY_MS)
      await ignoreAbsent(unlink(folder.at(name)));
  }
}

/** Whether a file can have two names: without that, a name cannot be given on the condition that it is free. */
export async function hasHardLinks(openFolder: OpenFolder): Promise<boolean> {
  await using folder = await openFolder(TEMPORARY_FOLDER.split('/'), { create: true });
  const [first, second] = [folder.at(uuid()), folder.at(uuid())];
  using _ = await writeNew(first, Buffer.alloc(0));
  try {
    await link(first, second);
    await unlink(second);
    return true;
  } catch (error) {
    if (isWithoutHardLinks(error)) return false;
    throw error;
  } finally {
    await unlink(first);
  }
}

async function ignoreAbsent(work: Promise<void>): Promise<void> {
  await work.catch((error) => {
    if (!isAbsent(error)) throw error;
  });
}
