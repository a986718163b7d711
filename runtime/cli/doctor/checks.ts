/** What `darkroom doctor` looks at on this machine: Node, limits, image library, filters and storage. */
import type { Config } from '../../config.ts';
import { asError } from '../../errors.ts';
import { listFunctions, loadFunction } from '../../functions.ts';
import { openStorage } from '../../storage/open.ts';
import { humanSize } from '../../units.ts';
import { cpuLimit, memoryLimit } from '../../worker/cgroup.ts';
import type { Check } from './check.ts';
import { tryStorage } from './try-storage.ts';

const OLDEST_NODE = 24;

export function nodeCheck(): Check {
  const version = process.versions.node;
  if (Number.parseInt(version, 10) >= OLDEST_NODE) return { name: 'Node', verdict: 'ok', found: version };
  return {
    name: 'Node',
    verdict: 'failed',
    found: version,
    fix: `Node ${OLDEST_NODE} or newer is needed; npm ci brings one, so start darkroom with npx`,
  };
}

export function machineCheck(): Check {
  return {
    name: 'machine',
    verdict: 'ok',
    found: `${cpuLimit()} processors and ${humanSize(memoryLimit())} for this process`,
  };
}

export async function imageLibraryCheck(): Promise<Check> {
  const name = 'image library';
  try {
    const { default: sharp } = await import('sharp');
    const found = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
    return { name, verdict: 'ok', found };
  } catch (error) {
    return {
      name,
      verdict: 'failed',
      found: asError(error).message.split('\n')[0] ?? '',
      fix: 'run npm ci on this platform: sharp ships one binary per system',
    };
  }
}

export async function filtersCheck({ functionsDir }: Config): Promise<Check> {
  const names = listFunctions(functionsDir);
  const loaded = await Promise.all(
    names.map((name) => loadFunction(name, functionsDir).then(() => undefined, asError)),
  );
  const broken = loaded.find((error) => error !== undefined);
  if (broken === undefined)
    return { name: 'filters', verdict: 'ok', found: `${names.length}: ${names.join(', ')}` };
  return {
    name: 'filters',
    verdict: 'failed',
    found: broken.message,
    fix: `correct the file in ${functionsDir}`,
  };
}

export async function storageCheck(config: Config): Promise<Check> {
  try {
    const storage = await openStorage(config.storage.url);
    const warnings = await tryStorage(storage);
    const found = [`${storage.url}: writes, reads and removes`, ...warnings].join('; ');
    return { name: 'storage', verdict: 'ok', found };
  } catch (error) {
    return {
      name: 'storage',
      verdict: 'failed',
      found: asError(error).message,
      fix: 'STORAGE_URL says where; the worker needs to write, read and remove there',
    };
  }
}
