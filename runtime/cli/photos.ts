/** Finds the photos that a command's arguments name: files, folders and globs. */
import { glob, mkdtemp, readdir, rmdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { asError, UserError } from '../errors.ts';
import { FORMATS, SVG } from '../image/formats.ts';
import { makeFolders } from '../make-folders.ts';

const PHOTO_EXTENSIONS = new Set(
  [...Object.values(FORMATS), SVG]
    .flatMap(({ extensions }) => extensions)
    .map((extension) => `.${extension}`),
);

/**
 * Paths of all photos, in a stable order, each once.
 * @throws UserError for a name that is not there or a pattern that matches nothing
 */
export async function findPhotos(args: string[]): Promise<string[]> {
  const found = await Promise.all(args.map(expand));
  return [...new Set(found.flat())];
}

/**
 * Names results: the photo's own name with the result's extension. A second photo of the same name in another
 * format keeps its own extension too, so that no result replaces another.
 */
export function resultNamer(): (photo: string, extension: string) => string {
  const given = new Set<string>();
  return (photo, extension) => {
    const { file, stem } = nameParts(photo);
    let name = `${stem}.${extension}`;
    if (given.has(name)) name = `${file}.${extension}`;
    for (let copy = 2; given.has(name); copy++) name = `${stem}-${copy}.${extension}`;
    given.add(name);
    return name;
  };
}

/** A photo's file name, whole and without its ending. */
export function nameParts(photo: string): { file: string; stem: string } {
  const file = photo.split(/[\\/]/).at(-1) ?? photo;
  return { file, stem: file.slice(0, file.length - extname(file).length) };
}

/** Makes the folder that results go to, and tries it before the work is done. @throws UserError */
export async function outputFolder(folder: string): Promise<void> {
  try {
    await makeFolders(folder);
    await rmdir(await mkdtemp(join(folder, '.darkroom-')));
  } catch (error) {
    throw new UserError(
      `-o ${folder}: expected a folder that this user may write to: ${asError(error).message}.`,
      { cause: error },
    );
  }
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
