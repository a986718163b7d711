/**
 * Holds Kubernetes objects against published schemas: values by the models' validators, and keys, which those let
 * pass, by the TypeScript compiler, for which a key that a type does not have is an error.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { asError } from '../../runtime/errors.ts';
import type { KubeObject } from './chart.ts';
import { words } from './words.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Package of each API group; groups of Kubernetes itself are in `kubernetes-models`. */
const PACKAGES: Record<string, string> = {
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'external-secrets.io': '@kubernetes-models/external-secrets',
};

/** Operators whose resources no package describes. Their shape is tested by hand. */
const UNMODELLED = ['rabbitmq.com', 'azconfig.io'];

/** Every fault of the objects, each with the object's name; empty when all are right. */
export async function modelFaults(objects: KubeObject[]): Promise<string[]> {
  const modelled = distinct(objects).filter(
    ({ apiVersion }) => !UNMODELLED.includes(apiVersion.split('/')[0] ?? ''),
  );
  const values = await Promise.all(modelled.map(valueFaults));
  return [...values.flat(), ...(await keyFaults(modelled))];
}

/** Renders that differ by a switch share most of their objects. */
function distinct(objects: KubeObject[]): KubeObject[] {
  return [...new Map(objects.map((object) => [JSON.stringify(object), object])).values()];
}

async function valueFaults(object: KubeObject): Promise<string[]> {
  const models = await import(modelPath(object));
  const Model = models[object.kind];
  if (Model === undefined) return [`${describe(object)}: ${object.apiVersion} has no such kind`];
  try {
    new Model(object).validate();
    return [];
  } catch (error) {
    return [`${describe(object)}: ${asError(error).message}`];
  }
}

/** One source file with every object as a literal of its type, compiled once. */
async function keyFaults(objects: KubeObject[]): Promise<string[]> {
  const folder = join(ROOT, 'node_modules/.cache/darkroom', `models-${randomUUID()}`);
  const lines = objects.map(
    (object, index) =>
      `import type { I${object.kind} as T${index} } from '${modelPath(object)}'; export const o${index}: T${index} = ${JSON.stringify(object)};`,
  );
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(join(folder, 'objects.ts'), `${lines.join('\n')}\n`);
    const flags = words('--ignoreConfig --noEmit --skipLibCheck --strict --module nodenext --types node');
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    await promisify(execFile)(process.execPath, [compiler, ...flags, join(folder, 'objects.ts')], {
      cwd: folder,
      maxBuffer: 64 * 1024 ** 2,
    });
    return [];
  } catch (error) {
    return explain((error as { stdout?: string }).stdout ?? asError(error).message, objects);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The compiler names a line; the line is an object. */
function explain(output: string, objects: KubeObject[]): string[] {
  const faults = [...output.matchAll(/objects\.ts\((\d+),\d+\): error (.*)/g)];
  if (faults.length === 0) return [output];
  return faults.map(([, line, message]) => {
    const object = objects[Number(line) - 1];
    return `${object === undefined ? 'objects.ts' : describe(object)}: ${message}`;
  });
}

function modelPath({ apiVersion }: KubeObject): string {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
  return `${PACKAGES[group] ?? 'kubernetes-models'}/${apiVersion}`;
}

function describe({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.name}`;
}
