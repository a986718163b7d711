/** Opens a storage in a folder: makes the folder, and clears away what killed writers left in it. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { asError, UserError } from '../errors.ts';
import { makeFolders } from '../make-folders.ts';
import { redactUrl } from '../redact.ts';
import { FileStorage } from './file.ts';
import { sweepTemporary } from './file-tree.ts';
import { folderOpener, type OpenFolder } from './folder.ts';

/**
 * @param target `file:///absolute/folder` or a path; the folder is made when it is missing
 * @param chooseOpener how folders are opened; default: the strictest way that the system offers
 * @throws {UserError} when the folder cannot be used
 */
export async function openFileStorage(
  target: string,
  chooseOpener: (root: string) => OpenFolder | Promise<OpenFolder> = folderOpener,
): Promise<FileStorage> {
  const root = folderOf(target);
  try {
    await makeFolders(root);
    const openFolder = await chooseOpener(root);
    await sweepTemporary(openFolder);
    return new FileStorage(root, openFolder);
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
