/**
 * Image files that have broken image libraries before, from Debian's packages: fetched once into a cache folder, with
 * apt's own client and without installing anything.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/darkroom-chaos/', import.meta.url));
const APT_SOURCES = '/etc/apt';
const FETCH_TIMEOUT_MS = 180_000;
/** Larger ones only test the limit of bytes, which a few do as well. */
const MAX_BYTES = 30 * 1_048_576;
const IMAGE =
  /^\.(png|apng|jpe?g|jfif|gif|tiff?|webp|avif|heic|heif|svgz?|bmp|dib|ico|icns|cur|jp2|j2k|jpx|jxl|psd|pcx|tga|p[bgpn]m|xpm|xbm|xcf|qoi|dds|fits|hdr|ras|sgi|rgb|pdf|eps|ani|msp|wmf|emf|mpo|fli|flc|crash|poc|bin|raw)$/i;

/** Binary packages are unpacked whole; of source packages only what is an image by its name. */
export const CORPORA = {
  'gdk-pixbuf-tests': 'package',
  'librsvg2-tests': 'package',
  'libpng1.6': 'source',
  vips: 'source',
  pillow: 'source',
  tiff: 'source',
} as const;

export type Corpus = keyof typeof CORPORA;

/** The files of a corpus, sorted by path; undefined where it cannot be had, with the reason told to `say`. */
export async function corpusFiles(name: Corpus, say: (text: string) => void): Promise<string[] | undefined> {
  const folder = join(CACHE, name);
  try {
    if (!existsSync(folder)) {
      say(`fetching ${name}`);
      await fetchCorpus(name, folder);
    }
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    return await keepFitting(files.sort(), CORPORA[name] === 'source');
  } catch (error) {
    say(`${name} cannot be had here: ${String((error as Error).message).split('\n')[0]}`);
    return undefined;
  }
}

async function keepFitting(files: string[], byName: boolean): Promise<string[]> {
  const kept: string[] = [];
  for (const file of files) {
    if (byName && !IMAGE.test(extname(file)) && !/crash|fuzz.*(corpus|cases)|timeout|poc/i.test(file))
      continue;
    const { size } = await stat(file);
    if (size > 0 && size <= MAX_BYTES) kept.push(file);
  }
  return kept;
}

/** Whole or not at all: a broken download leaves nothing behind. */
async function fetchCorpus(name: Corpus, folder: string): Promise<void> {
  const work = `${folder}.${process.pid}`;
  await mkdir(join(work, 'files'), { recursive: true });
  try {
    if (CORPORA[name] === 'package') await fetchPackage(name, work);
    else await fetchSource(name, work);
    await rename(join(work, 'files'), folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchPackage(name: string, work: string): Promise<void> {
  await run('apt-get', ['download', '-qq', name], { cwd: work, timeout: FETCH_TIMEOUT_MS });
  const archive = (await readdir(work)).find((file) => file.endsWith('.deb'));
  await run('dpkg', ['-x', archive ?? '', 'files'], { cwd: work });
}

/** apt knows this machine's sources of packages; the sources of programs lie beside them. */
async function fetchSource(name: string, work: string): Promise<void> {
  const options = await sourceOptions();
  const fetching = ['source', '--download-only', '-qq', name];
  // The program's own archive is enough: Debian's patches beside it may be newer than this mirror has them.
  await run('apt-get', [...options, ...fetching], { cwd: work, timeout: FETCH_TIMEOUT_MS }).catch(() => {});
  const archives = (await readdir(work)).filter((file) => /\.orig.*\.tar\.\w+$/.test(file));
  if (archives.length === 0) throw new Error('no source archive came');
  for (const archive of archives)
    await run('tar', ['-xf', archive, '-C', 'files'], { cwd: work, timeout: FETCH_TIMEOUT_MS });
}

/** An apt state of our own that has the lists of source packages; the machine's stays as it is. */
async function sourceOptions(): Promise<string[]> {
  const state = join(CACHE, '.apt');
  const parts = join(state, 'sources.list.d');
  const options = [
    '-o',
    `Dir::Etc::SourceList=/dev/null`,
    '-o',
    `Dir::Etc::SourceParts=${parts}`,
    '-o',
    `Dir::State=${state}`,
    '-o',
    `Dir::Cache=${state}`,
  ];
  if (existsSync(join(state, 'done'))) return options;
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  await mkdir(join(state, 'archives', 'partial'), { recursive: true });
  await mkdir(parts, { recursive: true });
  const folder = join(APT_SOURCES, 'sources.list.d');
  const files = (await readdir(folder))
    .filter((file) => /\.(sources|list)$/.test(file))
    .map((file) => join(folder, file));
  const single = join(APT_SOURCES, 'sources.list');
  for (const [index, file] of [...files, ...(existsSync(single) ? [single] : [])].entries()) {
    const text = (await readFile(file, 'utf8'))
      .replaceAll(/^Types:.*$/gm, 'Types: deb-src')
      .replaceAll(/^deb\s/gm, 'deb-src ');
    await writeFile(join(parts, `${index}${extname(file)}`), text);
  }
  await run('apt-get', [...options, 'update', '-qq'], { timeout: FETCH_TIMEOUT_MS });
  await writeFile(join(state, 'done'), '');
  return options;
}
