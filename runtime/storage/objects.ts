/**
 * Whole objects as files below a root: reading, atomic writing, walking and removing.
 *
 * What only touches names is done in place, as in {@link OpenFolder}; what moves or syncs bytes goes through the
 * thread pool.
 */
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  read,
  renameSync,
  type Stats,
  unlinkSync,
  write,
} from 'node:fs';
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { v4 as uuid } from 'uuid';
import { codeOf, type Folder, type OpenFolder, refuseLink, sync } from './folder.ts';
import { RUNTIME_FOLDER } from './keys.ts';
import { tooLarge } from './limits.ts';
import type { ReadOptions, WriteOptions } from './storage.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
/** Between two chunks an abort is noticed. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** On the same file system as the results, because rename does not cross file systems. */
export const TEMPORARY = [RUNTIME_FOLDER, 'tmp'];
/** No write takes this long: what is older was left by a killed process. */
const STALE_TEMPORARY_MS = 60 * 60 * 1000;
/** Where hard links are missing: exFAT, some network file systems. */
const NO_HARD_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

const readChunk = promisify(read);
const writeChunk = promisify(write);

/** A file open for reading. */
export interface OpenObject extends Disposable {
  descriptor: number;
  bytes: number;
}

/** The file of a key; undefined when there is none. Never a link, a device or a pipe. */
export async function openObject(openFolder: OpenFolder, key: string): Promise<OpenObject | undefined> {
  const { parent, name } = split(key);
  try {
    await using folder = await openFolder(parent);
    await refuseLink(folder.at(name), key);
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    const descriptor = openSync(folder.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      await folder.verify();
      const stats = fstatSync(descriptor);
      if (stats.isFile())
        return { descriptor, bytes: stats.size, [Symbol.dispose]: () => closeSync(descriptor) };
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    closeSync(descriptor);
    return undefined;
  } catch (error) {
    // ENXIO is a socket.
    if (isAbsent(error) || ['EISDIR', 'ENXIO'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** @throws {Rejection} `limit-exceeded` before anything is read */
export async function readObject(
  { descriptor, bytes }: OpenObject,
  key: string,
  { maxBytes = Number.POSITIVE_INFINITY, allocate = Buffer.allocUnsafe, signal }: ReadOptions,
): Promise<Buffer> {
  if (bytes > maxBytes) throw tooLarge(key, `${bytes} bytes`, maxBytes);
  const buffer = allocate(bytes);
  let filled = 0;
  while (filled < bytes) {
    const length = Math.min(CHUNK_BYTES, bytes - filled);
    const { bytesRead } = await readChunk(descriptor, buffer, filled, length, filled);
    signal?.throwIfAborted();
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** The state of a key's file; undefined when there is none. */
export async function statObject(openFolder: OpenFolder, key: string): Promise<Stats | undefined> {
  const { parent, name } = split(key);
  try {
    await using folder = await openFolder(parent);
    await refuseLink(folder.at(name), key);
    const stats = lstatSync(folder.at(name));
    await folder.verify();
    return stats.isFile() ? stats : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/**
 * All of the bytes or nothing, durable when it resolves.
 * @returns false only with `ifAbsent`, when something is already there
 */
export async function writeObject(
  openFolder: OpenFolder,
  key: string,
  bytes: Uint8Array,
  { ifAbsent = false, signal }: WriteOptions,
): Promise<boolean> {
  const { parent, name } = split(key);
  await using folder = await openFolder(parent, { create: true });
  await refuseLink(folder.at(name), key);
  if (ifAbsent && (await isThere(folder, name))) return false;
  await using temporary = await openFolder(TEMPORARY, { create: true });
  const source = temporary.at(uuid());
  let stored = true;
  try {
    await writeSynced(source, bytes, signal);
    await folder.verify();
    if (ifAbsent) stored = linkObject(source, folder.at(name));
    else renameSync(source, folder.at(name));
    await folder.verify();
  } catch (error) {
    await unlink(source).catch(() => {});
    throw error;
  }
  await folder.sync();
  return stored;
}

async function isThere(folder: Folder, name: string): Promise<boolean> {
  if (lstatSync(folder.at(name), { throwIfNoEntry: false }) === undefined) return false;
  // Its writer may not have come to this yet, and the caller relies on what is there.
  await folder.sync();
  return true;
}

async function writeSynced(target: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  const descriptor = openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  try {
    let written = 0;
    while (written < bytes.length) {
      signal?.throwIfAborted();
      const length = Math.min(CHUNK_BYTES, bytes.length - written);
      written += (await writeChunk(descriptor, bytes, written, length)).bytesWritten;
    }
    await sync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Gives the temporary file its name unless that is taken: link(2) refuses an existing name, rename(2) does not. */
function linkObject(source: string, target: string): boolean {
  try {
    linkSync(source, target);
  } catch (error) {
    if (NO_HARD_LINKS.includes(codeOf(error) ?? '')) {
      // The name was free a moment ago. Of two writers at one moment both may be told that they were first.
      renameSync(source, target);
      return true;
    }
    if (codeOf(error) !== 'EEXIST') throw error;
    unlinkSync(source);
    return false;
  }
  unlinkSync(source);
  return true;
}

export async function removeObject(openFolder: OpenFolder, key: string): Promise<void> {
  const { parent, name } = split(key);
  try {
    await using folder = await openFolder(parent);
    // As in S3, a folder is no object.
    if (!(await lstat(folder.at(name))).isDirectory()) await unlink(folder.at(name));
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

export interface Entry {
  name: string;
  kind: 'file' | 'folder' | 'other';
}

/** What is in a folder, in the byte order of the keys below it; nothing when there is no such folder. */
export async function entriesOf(openFolder: OpenFolder, segments: string[]): Promise<Entry[]> {
  try {
    await using folder = await openFolder(segments);
    const found = await readdir(folder.at('.'), { withFileTypes: true });
    await folder.verify();
    const entries = found.map(
      (entry): Entry => ({
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
function sortName({ name, kind }: Entry): Buffer {
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
    // A late writer may have put something there again; that is its own to remove.
    if (!isAbsent(error) && !['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error;
  }
}

/** Removes what killed writers left behind. */
export async function sweepTemporary(openFolder: OpenFolder): Promise<void> {
  const entries = await entriesOf(openFolder, TEMPORARY);
  if (entries.length === 0) return;
  await using folder = await openFolder(TEMPORARY);
  for (const { name } of entries) {
    const stats = await lstat(folder.at(name)).catch(() => undefined);
    if (stats?.isFile() && Date.now() - stats.mtimeMs > STALE_TEMPORARY_MS)
      await ignoreAbsent(unlink(folder.at(name)));
  }
}

/** Nothing has that name: it is missing, or a file stands where a folder was looked for. */
function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
}

async function ignoreAbsent(work: Promise<void>): Promise<void> {
  await work.catch((error) => {
    if (!isAbsent(error)) throw error;
  });
}

function split(key: string): { parent: string[]; name: string } {
  const segments = key.split('/');
  return { parent: segments.slice(0, -1), name: segments.at(-1)! };
}
