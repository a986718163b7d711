/** Finds the photos that a command's arguments name: files, folders and globs. */
import { glob, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { UserError } from '../errors.ts';

const PHOTO_EXTENSIONS = new Set([
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.avif',
  '.tif',
  '.tiff',
  '.gif',
  '.svg',
]);

/**
 * Paths of all photos, in a stable order, each once.
 * @throws UserError for a name that is not there or a pattern that matches nothing
 */
export async function findPhotos(args: string[]): Promise<string[]> {
  const found = await Promise.all(args.map(expand));
  return [...new Set(found.flat())];
}

/** What a result is called: the photo's own name with the result's extension. */
export function resultName(photo: string, extension: string): string {
  const name = photo.split(/[\\/]/).at(-1) ?? photo;
  return `${name.slice(0, name.length - extname(name).length)}.${extension}`;
}

async function expand(arg: string): Promise<string[]> {
  const stats = await stat(arg).catch(() => undefined);
  if (stats?.isFile()) return [arg];
  if (stats?.isDirectory()) return await photosIn(arg);
  if (!/[*?[{]/.test(arg)) throw new UserError(`${arg}: there is no such file or folder.`);
  const matches: string[] = [];
  for await (const match of glob(arg)) if (isPhoto(match)) matches.push(match);
  if (matches.length === 0) throw new UserError(`${arg}: no photo matches.`);
  return matches.sort();
}

async function photosIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const photos = entries
    .filter((entry) => entry.isFile() && isPhoto(entry.name))
    .map((entry) => join(folder, entry.name));
  if (photos.length === 0)
    throw new UserError(`${folder}: there is no photo in it (${[...PHOTO_EXTENSIONS].join(' ')}).`);
  return photos.sort();
}

function isPhoto(name: string): boolean {
  return PHOTO_EXTENSIONS.has(extname(name).toLowerCase());
}
