/** How bytes get into a file: into a temporary one, which gets its name once it is synced. */
import { closeSync, constants, lstatSync, openSync, renameSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { v4 as uuid } from 'uuid';
import {
  type Folder,
  isAbsent,
  type OpenFolder,
  refuseLink,
  renameUnlessTaken,
  splitKey,
  syncIfPossible,
  systemErrorCode,
  writeNew,
} from './folder.ts';
import { TEMPORARY_FOLDER } from './keys.ts';
import type { Bytes, WriteOptions } from './storage.ts';

const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
const TEMPORARY = TEMPORARY_FOLDER.split('/');
/** How often a folder that is removed under a write is made again. */
const WRITE_ATTEMPTS = 5;

/**
 * All of the bytes or nothing, durable when it resolves.
 * @returns false only with `ifAbsent`, when something is already there
 */
export function writeObject(
  openFolder: OpenFolder,
  key: string,
  bytes: Bytes,
  { ifAbsent = false, mayTear = false, signal }: WriteOptions,
): Promise<boolean> {
  return retryVanished(async () => {
    const { parent, name } = splitKey(key);
    await using folder = await openFolder(parent, { create: true });
    await refuseLink(folder.at(name), key);
    if (ifAbsent && isThere(folder, name)) return await syncThere(folder, name);
    await using temporary = await openFolder(TEMPORARY, { create: true });
    const source = temporary.at(uuid());
    try {
      using file = await writeNew(source, bytes, signal);
      if (!mayTear) await file.sync();
      await folder.verify();
      const stored = !ifAbsent || renameUnlessTaken(source, folder.at(name));
      if (!ifAbsent) renameSync(source, folder.at(name));
      await folder.verify();
      if (!stored) return await syncThere(folder, name);
      await Promise.all([folder.sync(), mayTear ? file.sync() : undefined]);
      return true;
    } catch (error) {
      await unlink(source).catch(() => {});
      throw error;
    }
  });
}

/** A temporary file that is synced and waits for its name. */
export class StagedFile {
  readonly #openFolder: OpenFolder;
  readonly #key: string;
  readonly #temporaryName: string;
  #isNamed = false;

  private constructor(openFolder: OpenFolder, key: string, temporaryName: string) {
    this.#openFolder = openFolder;
    this.#key = key;
    this.#temporaryName = temporaryName;
  }

  static stage(
    openFolder: OpenFolder,
    key: string,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<StagedFile> {
    return retryVanished(async () => {
      const { parent, name } = splitKey(key);
      // Here already, because new folders are synced too.
      await using folder = await openFolder(parent, { create: true });
      await refuseLink(folder.at(name), key);
      await using temporary = await openFolder(TEMPORARY, { create: true });
      const temporaryName = uuid();
      try {
        using file = await writeNew(temporary.at(temporaryName), bytes, signal);
        await file.sync();
      } catch (error) {
        await unlink(temporary.at(temporaryName)).catch(() => {});
        throw error;
      }
      return new StagedFile(openFolder, key, temporaryName);
    });
  }

  async commit(): Promise<void> {
    await retryVanished(async () => {
      const { parent, name } = splitKey(this.#key);
      await using folder = await this.#openFolder(parent, { create: true });
      await using temporary = await this.#openFolder(TEMPORARY);
      await refuseLink(folder.at(name), this.#key);
      await folder.verify();
      if (!this.#isNamed) renameSync(temporary.at(this.#temporaryName), folder.at(name));
      this.#isNamed = true;
      await folder.verify();
      await folder.sync();
    });
  }

  /** Removes the file unless it has its name. */
  async discard(): Promise<void> {
    if (this.#isNamed) return;
    await using temporary = await this.#openFolder(TEMPORARY);
    await unlink(temporary.at(this.#temporaryName));
  }
}

/** Another process may remove the folder of a key between its being opened and being written to. */
async function retryVanished<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || attempt === WRITE_ATTEMPTS) throw error;
    }
  }
}

function isThere(folder: Folder, name: string): boolean {
  return lstatSync(folder.at(name), { throwIfNoEntry: false }) !== undefined;
}

/** Its writer may not have synced it yet, and the caller relies on what is there. */
async function syncThere(folder: Folder, name: string): Promise<false> {
  await Promise.all([folder.sync(), syncFile(folder.at(name))]);
  return false;
}

async function syncFile(target: string): Promise<void> {
  let descriptor: number;
  try {
    descriptor = openSync(target, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    // Gone again, or nothing that can be read: whoever reads it will find that.
    if (isAbsent(error) || ['EACCES', 'ELOOP', 'ENXIO'].includes(systemErrorCode(error) ?? '')) return;
    throw error;
  }
  try {
    await syncIfPossible(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
