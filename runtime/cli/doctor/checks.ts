/** What `darkroom doctor` looks at on this machine: Node, limits, image library, filters and storage. */
import type { Config } from '../../config.ts';
import { asError } from '../../errors.ts';
import { listFunctions, loadFunction } from '../../functions.ts';
import { decodablePixels } from '../../image/limits.ts';
import { openStorage } from '../../storage/open.ts';
import { humanSize } from '../../units.ts';
import { cpuLimit, memoryLimit } from '../../worker/cgroup.ts';
import { childLimits, slotsPerFilter } from '../../worker/child-memory.ts';
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

/** What a worker on this machine, or in this container, would take. */
export function memoryCheck(config: Config): Check {
  const name = 'memory';
  try {
    const { memoryBytes, pixels } = childLimits(config);
    const slots = slotsPerFilter(config);
    const avif = [false, true].map((isDeep) =>
      Math.min(pixels, decodablePixels('avif', isDeep, memoryBytes)),
    );
    const [photos, shallow, deep] = [pixels, ...avif].map((count) => `${(count / 1e6).toFixed(1)}`);
    const found = `${slots === 1 ? '' : `${slots} slots, `}${humanSize(memoryBytes)} for a task: images up to ${photos} megapixels, AVIF up to ${shallow} (${deep} of more than 8 bits a sample)`;
    return { name, verdict: 'ok', found };
  } catch (error) {
    return { name, verdict: 'failed', found: asError(error).message, fix: 'a worker would not start here' };
  }
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
    if (warnings.length === 0) return { name: 'storage', verdict: 'ok', found };
    const isRequired = config.storage.requireConditionalWrites;
    return {
      name: 'storage',
      verdict: isRequired ? 'failed' : 'warning',
      found,
      fix: `use a storage with conditional writes (S3: If-None-Match)${isRequired ? '; STORAGE_REQUIRE_CONDITIONAL_WRITES lets no worker start here' : ', or never give one id to two tasks'}`,
    };
  } catch (error) {
    return {
      name: 'storage',
      verdict: 'failed',
      found: asError(error).message,
      fix: 'STORAGE_URL says where; the worker needs to write, read and remove there',
    };
  }
}
