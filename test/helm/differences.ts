/** What one render of the chart has that another has not, object by object. */
import { listFunctions } from '../../runtime/functions.ts';
import type { KubeObject } from '../support/chart.ts';

/** Stands for a function's name. */
const ANY = 'FUNCTION';
const GONE = '(gone)';

export interface Differences {
  /** By object, and by path in it: what is there now. */
  changed?: Record<string, Record<string, unknown>>;
  added?: KubeObject[];
  removed?: string[];
}

/** An object, or that of all functions whose objects differ by their names only. */
interface ChartPart {
  name: string;
  functions: string[];
  object: KubeObject;
}

/** Empty when the renders are equal, whichever functions they have. */
export function differences(base: KubeObject[], other: KubeObject[]): Differences {
  const before = new Map(partsOf(base).map((part) => [part.name, part.object]));
  const parts = partsOf(other);
  const changed = parts.flatMap(({ name, functions, object }) => {
    const paths = before.has(name) ? changedPaths(before.get(name), object) : [];
    return paths.length === 0 ? [] : [[titleOf(name, functions), Object.fromEntries(paths)] as const];
  });
  const added = parts.filter(({ name }) => !before.has(name)).map(({ object }) => object);
  const names = new Set(parts.map(({ name }) => name));
  const removed = [...before.keys()].filter((name) => !names.has(name));
  return {
    ...(changed.length > 0 && { changed: Object.fromEntries(changed) }),
    ...(added.length > 0 && { added }),
    ...(removed.length > 0 && { removed }),
  };
}

function titleOf(name: string, functions: string[]): string {
  const isAll = functions.length === 0 || functions.length === listFunctions().length;
  return isAll ? name : `${name} (${functions.join(', ')})`;
}

function partsOf(objects: KubeObject[]): ChartPart[] {
  const parts = new Map<string, ChartPart>();
  for (const object of objects) {
    const filter = object.metadata.labels?.['darkroom.filter'];
    const text = JSON.stringify(object);
    const common = filter === undefined ? text : text.replaceAll(new RegExp(`\\b${filter}\\b`, 'g'), ANY);
    const part = parts.get(common) ?? partOf(JSON.parse(common));
    if (filter !== undefined) part.functions.push(filter);
    parts.set(common, part);
  }
  return [...parts.values()];
}

function partOf(object: KubeObject): ChartPart {
  return { name: `${object.kind} ${object.metadata.name}`, functions: [], object };
}

/** The value at each path that differs: of a whole branch where one side has none. */
function changedPaths(before: unknown, after: unknown, path = ''): [path: string, value: unknown][] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (after === undefined) return [[path, GONE]];
  const [old, now] = [childrenOf(before), childrenOf(after)];
  if (old === undefined || now === undefined) return [[path, after]];
  return [...new Set([...now.keys(), ...old.keys()])].flatMap((key) =>
    changedPaths(old.get(key), now.get(key), path === '' ? key.slice(1) : `${path}${key}`),
  );
}

/** By key; of a list by the items' names, if they have such, else by their places. */
function childrenOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return new Map(Object.entries(value).map(([key, child]) => [`.${key}`, child]));
  const names = value.map((item) => (item as { name?: string } | null)?.name);
  const areNames = !names.includes(undefined) && new Set(names).size === names.length;
  return new Map(value.map((item, index) => [`[${areNames ? names[index] : index}]`, item]));
}
