/** Finds and loads the filters in `functions/`, by name only, and checks their parameters. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { z } from 'zod';
import { closestName } from './closest-name.ts';
import { asError, Rejection, UserError } from './errors.ts';
import type { Filter } from './filter.ts';
import { capText } from './redact.ts';
import { validationMessage } from './validation-message.ts';

/** The folder of filters that Darkroom ships. */
export const FUNCTIONS_DIR = fileURLToPath(new URL('../functions/', import.meta.url));

const NAME = /^[a-z][a-z0-9-]{0,39}$/;
const EXTENSION = /\.(?:ts|mjs|js)$/;

/** Names of the filters in a folder, sorted. Reads the folder only; nothing is imported. */
export function listFunctions(dir: string = FUNCTIONS_DIR): string[] {
  return entriesOf(dir)
    .filter((file) => EXTENSION.test(file) && !file.endsWith('.d.ts'))
    .map((file) => file.replace(EXTENSION, ''))
    .filter((name) => NAME.test(name))
    .sort();
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    throw new UserError(
      `FUNCTIONS_DIR: expected a folder of filters, and ${dir} cannot be read: ${asError(error).message}.`,
      { cause: error },
    );
  }
}

/** Those that were imported, by folder and name: a process keeps a filter as it was when it first read its file. */
const loaded = new Map<string, Filter>();

/**
 * Imports a filter, once.
 *
 * @param at what asks for it, such as `steps[0].filter`
 * @throws Rejection `unknown-filter` when no file has the name
 * @throws UserError when the file is broken: it names the file and what was expected of it
 */
export async function loadFunction(name: string, dir: string = FUNCTIONS_DIR, at?: string): Promise<Filter> {
  const place = `${dir}\0${name}`;
  const filter = loaded.get(place) ?? (await importFilter(name, dir, at));
  loaded.set(place, filter);
  return filter;
}

async function importFilter(name: string, dir: string, at: string | undefined): Promise<Filter> {
  const known = listFunctions(dir);
  if (!NAME.test(name) || !known.includes(name)) throw unknownFilter(name, known, at);
  const file = readdirSync(dir).find(
    (entry) => EXTENSION.test(entry) && entry.replace(EXTENSION, '') === name,
  );
  const place = path.join(dir, file ?? name);
  const module = await importFile(place);
  const fault = faultOf(module.default);
  if (fault !== undefined) throw new UserError(`${place}: ${fault}`);
  return module.default as Filter;
}

/**
 * A step's parameters, checked and with defaults filled in.
 *
 * @param at the path of the parameters in the task, such as `steps[0].params`
 * @throws Rejection `invalid-params`, naming path, value and expectedType of every fault
 */
export function parseParams<Params extends z.ZodType>(
  filter: Filter<Params>,
  params: unknown,
  at: string,
): z.output<Params> {
  const given = params ?? {};
  const parsed = filter.params.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new Rejection(validationMessage(parsed.error, given, filter.params, at), {
    failureType: 'invalid-params',
  });
}

async function importFile(place: string): Promise<{ default?: unknown }> {
  try {
    return (await import(pathToFileURL(place).href)) as { default?: unknown };
  } catch (error) {
    throw new UserError(`${place}: cannot be loaded: ${asError(error).message}`, { cause: error });
  }
}

/** What is wrong with a file's default export, or nothing. */
function faultOf(exported: unknown): string | undefined {
  if (typeof exported !== 'object' || exported === null) {
    return 'expected a default export made with defineFilter({ summary, params, apply })';
  }
  const filter = exported as Partial<Filter>;
  if (typeof filter.summary !== 'string' || filter.summary === '')
    return 'expected `summary`, one sentence on what it does';
  if (typeof filter.params?.safeParse !== 'function')
    return 'expected `params`, a zod schema (z.strictObject({ … }))';
  if (typeof filter.apply !== 'function')
    return 'expected `apply`, a function (image, params, context) => result';
  if (filter.returns !== undefined && filter.returns !== 'image' && filter.returns !== 'json') {
    return `expected \`returns\` to be 'image' or 'json', got ${JSON.stringify(filter.returns)}`;
  }
  if (filter.cost !== undefined && filter.cost !== 'light' && filter.cost !== 'heavy')
    return `expected \`cost\` to be 'light' or 'heavy', got ${JSON.stringify(filter.cost)}`;
  if (filter.ownWorkers !== undefined && typeof filter.ownWorkers !== 'boolean')
    return `expected \`ownWorkers\` to be true or false, got ${JSON.stringify(filter.ownWorkers)}`;
  return undefined;
}

/** The sender asked for a filter that does not exist; `at` is its path in the task, such as `steps[0].filter`. */
export function unknownFilter(name: string, known: readonly string[], at = 'a filter'): Rejection {
  const near = closestName(name, known);
  const guess = near === undefined ? '' : `; did you mean "${near}"?`;
  return new Rejection(
    `${at}: expected one of ${known.join(', ')}, got ${JSON.stringify(capText(name, 60))}${guess}`,
    { failureType: 'unknown-filter' },
  );
}
