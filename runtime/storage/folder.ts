/**
 * Folders below a storage's root, opened so that no symbolic link, not even one swapped in meanwhile, leads out; and
 * how files get into them.
 */
import {
  closeSync,
  constants,
  fsync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  unlinkSync,
  write,
} from 'node:fs';
import { access, mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Rejection } from '../errors.ts';
import { type Bytes, piecesOf } from './storage.ts';

// Windows knows neither flag.
const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY = 0, O_NOFOLLOW = 0 } = constants;
/** Linux's way to "open this name in that open folder", which Node has no call for. */
const DESCRIPTORS = '/proc/self/fd';
/** Between two chunks an abort is noticed. */
export const CHUNK_BYTES = 4 * 1024 * 1024;

const writeChunk = promisify(write);
/** Waits until what was written to an open file or folder is safe. */
const syncDescriptor = promisify(fsync);

/** An open folder. Paths that it gives are for immediate use, before it is disposed of. */
export interface Folder extends AsyncDisposable {
  /** A path to one name in this very folder. */
  at(name: string): string;
  /** Throws when the folder is no longer inside the root; for use after a name in it was opened. */
  verify(): Promise<void>;
  /** Makes the folder's entries survive a crash of the machine. */
  sync(): Promise<void>;
}

export interface OpenFolderOptions {
  /** Make the folders that are missing; default false. */
  create?: boolean;
}

/**
 * Opens the folder `segments` below a root (the root itself may be a symbolic link).
 * @throws {Rejection} for a symbolic link on the way, and Node's own ENOENT or ENOTDIR
 */
export type OpenFolder = (segments: string[], options?: OpenFolderOptions) => Promise<Folder>;

/** Chooses the strictest way of opening folders that this system offers. */
export async function folderOpener(root: string): Promise<OpenFolder> {
  const hasDescriptors = await access(DESCRIPTORS).then(
    () => true,
    () => false,
  );
  return hasDescriptors ? descriptorOpener(root) : pathOpener(root);
}

/**
 * Linux: every step is taken from an open folder, so there is no moment at which a swapped link could be followed.
 * Opening and closing folders is done in place: it takes microseconds, a trip through the thread pool many more.
 */
function descriptorOpener(root: string): OpenFolder {
  return async (segments, { create = false } = {}) => {
    let folder = openSync(root, O_RDONLY | O_DIRECTORY);
    try {
      for (const segment of segments) {
        const inner = await openInner(folder, segment, create);
        closeSync(folder);
        folder = inner;
      }
    } catch (error) {
      closeSync(folder);
      throw error;
    }
    return {
      at: (name) => `${DESCRIPTORS}/${folder}/${name}`,
      verify: async () => {},
      sync: () => syncIfPossible(folder),
      [Symbol.asyncDispose]: async () => closeSync(folder),
    };
  };
}

async function openInner(parent: number, segment: string, create: boolean): Promise<number> {
  const inner = `${DESCRIPTORS}/${parent}/${segment}`;
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  try {
    return openSync(inner, flags);
  } catch (error) {
    await refuseLink(inner, segment);
    if (!create || systemErrorCode(error) !== 'ENOENT') throw error;
  }
  await makeFolder(inner);
  await syncIfPossible(parent);
  return openSync(inner, flags);
}

/** Elsewhere: links are looked for before, and the real path again after each use, which a racing swap may outrun. */
export function pathOpener(root: string): OpenFolder {
  return async (segments, { create = false } = {}) => {
    const realRoot = await realpath(root);
    const folder = path.join(realRoot, ...segments);
    for (let depth = 1; depth <= segments.length; depth++) {
      const inner = path.join(realRoot, ...segments.slice(0, depth));
      await refuseLink(inner, segments[depth - 1]!);
      if (create) await makeFolder(inner);
    }
    const verify = async () => {
      // Compared without case, because Windows and macOS give a name back as it was first written.
      if ((await realpath(folder)).toLowerCase() !== folder.toLowerCase())
        throw linkRefused(segments.join('/'));
    };
    await verify();
    return {
      at: (name) => path.join(folder, name),
      verify,
      sync: () => syncPath(folder),
      [Symbol.asyncDispose]: async () => {},
    };
  };
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

async function syncPath(folder: string): Promise<void> {
  // Windows cannot open a folder to sync it; NTFS journals the rename.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, O_RDONLY | O_DIRECTORY);
  try {
    await syncIfPossible(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** For folders and what is in them: whatever cannot be synced is none the worse for it. */
export async function syncIfPossible(descriptor: number): Promise<void> {
  try {
    await syncDescriptor(descriptor);
  } catch (error) {
    // Some network file systems cannot sync a folder: they make a rename durable themselves, or nothing can.
    if (!['EINVAL', 'ENOTSUP'].includes(systemErrorCode(error) ?? '')) throw error;
  }
}

/** Throws a {@link Rejection} when the path is a symbolic link. */
export async function refuseLink(target: string, name: string): Promise<void> {
  if (isLink(target)) throw linkRefused(name);
}

function isLink(target: string): boolean {
  try {
    return lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch {
    return false; // Whatever is wrong with it shows when it is used.
  }
}

/** The system's name of an error, such as ENOENT. */
export function systemErrorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function linkRefused(name: string): Rejection {
  return new Rejection(
    `"${name}" in the storage is a symbolic link, which is not followed. Store the file itself.`,
    {
      failureType: 'input-forbidden',
    },
  );
}

/** A file that is open and written, but not synced. */
export interface NewFile extends Disposable {
  /** Makes its bytes survive a crash of the machine. */
  sync(): Promise<void>;
}

export async function writeNew(target: string, bytes: Bytes, signal?: AbortSignal): Promise<NewFile> {
  const descriptor = openSync(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  try {
    for (const piece of piecesOf(bytes)) {
      let written = 0;
      while (written < piece.length) {
        signal?.throwIfAborted();
        const length = Math.min(CHUNK_BYTES, piece.length - written);
        written += (await writeChunk(descriptor, piece, written, length)).bytesWritten;
      }
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return { sync: () => syncDescriptor(descriptor), [Symbol.dispose]: () => closeSync(descriptor) };
}

/**
 * Gives a file another name unless that is taken: link(2) refuses an existing name, rename(2) does not. Its old name goes.
 * @returns whether the name was free
 */
export function renameUnlessTaken(source: string, target: string): boolean {
  try {
    linkSync(source, target);
  } catch (error) {
    if (isWithoutHardLinks(error)) {
      // The name was free a moment ago. Two writers at one moment may both be told that they were first.
      renameSync(source, target);
      return true;
    }
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    unlinkSync(source);
    return false;
  }
  unlinkSync(source);
  return true;
}

/** Whether hard links are missing: exFAT, some network file systems. */
export function isWithoutHardLinks(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemErrorCode(error) ?? '');
}

/** Nothing has that name: it is missing, or a file stands where a folder was looked for. */
export function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '');
}

export function splitKey(key: string): { parent: string[]; name: string } {
  const segments = key.split('/');
  return { parent: segments.slice(0, -1), name: segments.at(-1)! };
}
