/**
 * Storage in a folder: writes go to a temporary file that is synced and renamed, so that a key holds all of a value
 * or none of it, and an acknowledged result is still there after a power cut.
 *
 * What only touches names is done in place, as in {@link OpenFolder}; what moves or syncs bytes goes through the
 * thread pool.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, read, type Stats } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { fileFailure } from './file-failures.ts';
import { hasHardLinks, listTree, removeObject, removeTree } from './file-tree.ts';
import { StagedFile, writeObject } from './file-write.ts';
import { CHUNK_BYTES, isAbsent, type OpenFolder, refuseLink, splitKey, systemErrorCode } from './folder.ts';
import { assertFileKey } from './keys.ts';
import {
  type Bytes,
  type ListedObject,
  ObjectNotFound,
  type ObjectStat,
  type ReadOptions,
  type StagedWrite,
  type StageOptions,
  type Storage,
  tooLarge,
  type WriteOptions,
} from './storage.ts';

const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
const readChunk = promisify(read);

export class FileStorage implements Storage {
  readonly url: string;
  readonly #root: string;
  readonly #openFolder: OpenFolder;

  /** @param root an absolute path */
  constructor(root: string, openFolder: OpenFolder) {
    this.url = pathToFileURL(root).href;
    this.#root = root;
    this.#openFolder = openFolder;
  }

  async find(key: string, options: ReadOptions = {}): Promise<Buffer | undefined> {
    assertFileKey(key);
    const work = async () => {
      using file = await openObject(this.#openFolder, key);
      return file && (await readObject(file, key, options));
    };
    return await this.#perform(`read "${key}"`, work, options.signal);
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    const bytes = await this.find(key, options);
    if (bytes === undefined) throw new ObjectNotFound(key, this.url);
    return bytes;
  }

  async write(key: string, bytes: Bytes, options: WriteOptions = {}): Promise<boolean> {
    assertFileKey(key);
    const work = () => writeObject(this.#openFolder, key, bytes, options);
    return await this.#perform(`write "${key}"`, work, options.signal);
  }

  stage(key: string, bytes: Uint8Array, { signal }: StageOptions = {}): StagedWrite {
    const perform = <T>(work: () => Promise<T>) => this.#perform(`write "${key}"`, work, signal);
    const staging = perform(async () => {
      assertFileKey(key);
      return await StagedFile.stage(this.#openFolder, key, bytes, signal);
    });
    return {
      ready: staging.then(
        () => {},
        () => {},
      ),
      commit: async () => {
        const staged = await staging;
        await perform(() => staged.commit());
      },
      [Symbol.asyncDispose]: async () => {
        const staged = await staging.catch(() => undefined);
        await staged?.discard().catch(() => {});
      },
    };
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    assertFileKey(key);
    const stats = await this.#perform(`look for "${key}"`, () => statObject(this.#openFolder, key));
    return stats && { bytes: stats.size, modified: stats.mtime };
  }

  async remove(key: string): Promise<void> {
    assertFileKey(key);
    await this.#perform(`remove "${key}"`, () => removeObject(this.#openFolder, key));
  }

  async removeAll(prefix: string): Promise<void> {
    const folder = prefix.replace(/\/$/, '');
    assertFileKey(folder);
    const work = () => removeTree(this.#openFolder, folder.split('/'));
    await this.#perform(`remove the folder "${folder}"`, work);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const folder = prefix.replace(/\/$/, '');
    if (folder !== '') assertFileKey(folder);
    const doing = `list "${folder}"`;
    const keys = listTree(this.#openFolder, folder === '' ? [] : folder.split('/'));
    for (;;) {
      const { value: key, done } = await this.#perform(doing, () => keys.next());
      if (done) return;
      const stats = await this.#perform(doing, () => statObject(this.#openFolder, key));
      if (stats) yield { key, bytes: stats.size, modified: stats.mtime };
    }
  }

  async keepsFirstWrite(): Promise<boolean> {
    return await this.#perform('try hard links', () => hasHardLinks(this.#openFolder));
  }

  /** Does one thing; its errors become failures of the task. */
  async #perform<T>(doing: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw fileFailure(error, doing, this.#root);
    }
  }
}

/** A file open for reading. */
interface OpenObject extends Disposable {
  descriptor: number;
  bytes: number;
}

/** The file of a key; undefined when there is none. Never a link, a device or a pipe. */
async function openObject(openFolder: OpenFolder, key: string): Promise<OpenObject | undefined> {
  const { parent, name } = splitKey(key);
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
    if (isAbsent(error) || ['EISDIR', 'ENXIO'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** @throws {Rejection} `limit-exceeded` before anything is read */
async function readObject(
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
async function statObject(openFolder: OpenFolder, key: string): Promise<Stats | undefined> {
  const { parent, name } = splitKey(key);
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
