/**
 * Storage in a folder: writes go to a temporary file that is synced and renamed, so that a key holds all of a value
 * or none of it, and an acknowledged result is still there after a power cut.
 */
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { asError, Rejection, Retryable, TaskFailure, UserError } from '../errors.ts';
import { makeFolders } from '../make-folders.ts';
import { redactUrl } from '../redact.ts';
import { checkStorage } from './check.ts';
import { codeOf, folderOpener, type OpenFolder } from './folder.ts';
import { assertKey, isKey, isRuntimeKey } from './keys.ts';
import {
  entriesOf,
  openObject,
  readObject,
  removeObject,
  removeTree,
  statObject,
  sweepTemporary,
  TEMPORARY,
  writeObject,
} from './objects.ts';
import { type ListedObject, ObjectNotFound, type Storage } from './storage.ts';

/** How often a folder that is removed under a write is made again. */
const WRITE_ATTEMPTS = 5;
const TEMPORARY_PREFIX = TEMPORARY.join('/');

/**
 * @param target `file:///absolute/folder` or a path; the folder is made when it is missing
 * @param chooseOpener how folders are opened; default: the strictest way that the system offers
 * @throws {UserError} when the folder cannot be used
 */
export async function openFileStorage(
  target: string,
  chooseOpener: (root: string) => OpenFolder | Promise<OpenFolder> = folderOpener,
): Promise<Storage> {
  const root = folderOf(target);
  try {
    await makeFolders(root);
    const openFolder = await chooseOpener(root);
    await sweepTemporary(openFolder);
    return fileStorage(root, openFolder);
  } catch (error) {
    throw new UserError(
      `The storage folder ${root} cannot be used: ${asError(error).message}. ` +
        'Make it a folder that this user may write to, or set STORAGE_URL to another.',
      { cause: error },
    );
  }
}

/** The absolute path that a `file:` URL or a plain path names. */
function folderOf(target: string): string {
  if (!/^file:/i.test(target)) return path.resolve(target);
  try {
    // new URL('file:x') would quietly mean /x.
    if (!/^file:\/\//i.test(target)) throw new Error('a file: URL starts with file:///');
    const folder = fileURLToPath(target);
    if (folder.includes('\0')) throw new Error('it contains a NUL character');
    return path.resolve(folder);
  } catch (error) {
    throw new UserError(
      `STORAGE_URL ${redactUrl(target)} cannot be used: ${asError(error).message}. Expected file:///absolute/folder.`,
      { cause: error },
    );
  }
}

function fileStorage(root: string, openFolder: OpenFolder): Storage {
  const url = pathToFileURL(root).href;

  async function* walk(segments: string[]): AsyncGenerator<ListedObject> {
    for (const { name, kind } of await entriesOf(openFolder, segments)) {
      const key = [...segments, name].join('/');
      if (!isKey(key) || key === TEMPORARY_PREFIX) continue;
      if (kind === 'folder' && (segments.length > 0 || !isRuntimeKey(name))) yield* walk([...segments, name]);
      if (kind === 'file') {
        const stats = await statObject(openFolder, key);
        if (stats) yield { key, bytes: stats.size, modified: stats.mtime };
      }
    }
  }

  /** Does one thing, its errors in words. */
  async function perform<T>(doing: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw asFailure(error, doing, root);
    }
  }

  const storage: Storage = {
    url,
    async read(key, options = {}) {
      assertStorable(key);
      const read = async () => {
        using file = await openObject(openFolder, key);
        if (!file) throw new ObjectNotFound(key, url);
        return await readObject(file, key, options);
      };
      return await perform(`read "${key}"`, read, options.signal);
    },
    async write(key, bytes, options = {}) {
      assertStorable(key);
      const write = () => retryVanished(() => writeObject(openFolder, key, bytes, options));
      return await perform(`write "${key}"`, write, options.signal);
    },
    async stat(key) {
      assertStorable(key);
      const stats = await perform(`look for "${key}"`, () => statObject(openFolder, key));
      return stats && { bytes: stats.size, modified: stats.mtime };
    },
    async remove(key) {
      assertStorable(key);
      await perform(`remove "${key}"`, () => removeObject(openFolder, key));
    },
    async removeAll(prefix) {
      const folder = prefix.replace(/\/$/, '');
      assertStorable(folder);
      await perform(`remove the folder "${folder}"`, () => removeTree(openFolder, folder.split('/')));
    },
    async *list(prefix) {
      const folder = prefix.replace(/\/$/, '');
      if (folder !== '') assertStorable(folder);
      const objects = walk(folder === '' ? [] : folder.split('/'));
      for (;;) {
        const { value, done } = await perform(`list "${folder}"`, () => objects.next());
        if (done) return;
        yield value;
      }
    },
    check: () =>
      checkStorage(storage, `Let this user read and write in ${root}, or set STORAGE_URL to another folder.`),
  };
  return storage;
}

/** Another process may remove the folder of a key between its being opened and being written to. */
async function retryVanished<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === WRITE_ATTEMPTS) throw error;
    }
  }
}

function assertStorable(key: string): void {
  assertKey(key);
  if (key === TEMPORARY_PREFIX || key.startsWith(`${TEMPORARY_PREFIX}/`)) {
    throw new Rejection(`key "${key}" cannot be used: ${TEMPORARY_PREFIX}/ holds unfinished writes.`, {
      failureType: 'invalid-task',
    });
  }
  // Windows reads devices and streams where others read names.
  if (
    process.platform === 'win32' &&
    /[<>:"|?*]|(?:^|\/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\/|$)/i.test(key)
  ) {
    throw new Rejection(`key "${key}" cannot be used: Windows gives it another meaning.`, {
      failureType: 'invalid-task',
    });
  }
}

/** A system's error as a failure of the task, saying what could not be done and how to mend it. */
function asFailure(error: unknown, doing: string, root: string): Error {
  if (error instanceof TaskFailure) return error;
  const code = codeOf(error) ?? asError(error).message;
  const what = `Cannot ${doing} in ${root}`;
  const reject = (why: string) =>
    new Rejection(`${what}: ${why}.`, { failureType: 'invalid-task', cause: error });
  const retry = (why: string) => new Retryable(`${what}: ${why}.`, { failureType: 'storage', cause: error });
  switch (code) {
    case 'ENOTDIR':
      return reject('a part of the key that should be a folder is a file');
    case 'EISDIR':
    case 'ENOTEMPTY':
      return reject('a folder has that name');
    case 'ENAMETOOLONG':
      return reject('the name is too long for its file system');
    case 'ELOOP':
      return reject('a symbolic link has that name, and links are not followed');
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return retry(`the file system is full or a quota is reached (${code}); free some space`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return retry(`this user may not (${code}); correct the folder's owner, mode or mount`);
    case 'EXDEV':
      return retry('a folder below the root is another file system; mount one for the whole root');
    default:
      return retry(`the file system says ${code}`);
  }
}
