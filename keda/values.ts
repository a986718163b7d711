/** Reads the chart's values files the way Helm does: values.yaml beside the first, then each file over it. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { closestName } from '../runtime/closest-name.ts';
import { asError, UserError } from '../runtime/errors.ts';

/** A parsed values file: nested maps, lists and scalars. */
export type Values = Record<string, unknown>;

/** The files merged in order, as `helm upgrade -f first -f second` would. @throws UserError naming the file */
export function loadValues(files: readonly string[]): Values {
  const first = files[0];
  if (first === undefined) return {};
  const base = path.join(path.dirname(first), 'values.yaml');
  const isBase = path.resolve(base) === path.resolve(first);
  const all = existsSync(base) && !isBase ? [base, ...files] : files;
  return all.map(readValues).reduce(mergeValues, {});
}

/** Maps merge key by key, lists and scalars replace, and null removes a key. */
export function mergeValues(base: Values, over: Values): Values {
  const merged: Values = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    if (value === null) delete merged[key];
    else merged[key] = isMap(below) && isMap(value) ? mergeValues(below, value) : value;
  }
  return merged;
}

/** The functions that the values deploy, in their order, without those that have `enabled: false`. */
export function functionNames({ functions }: Values): string[] {
  if (!isMap(functions)) return [];
  return Object.keys(functions).filter((name) => {
    const own = functions[name];
    return !isMap(own) || own.enabled !== false;
  });
}

/**
 * One function's values: `defaults` with the function's own laid over them. An empty name gives the defaults.
 *
 * @throws UserError for a name that the values don't have, suggesting the closest
 */
export function functionValues(values: Values, name: string): Values {
  const defaults = isMap(values.defaults) ? values.defaults : {};
  if (name === '') return defaults;
  const known = functionNames(values);
  if (!known.includes(name)) throw unknownFunction(name, known);
  const own = (values.functions as Values)[name];
  return isMap(own) ? mergeValues(defaults, own) : defaults;
}

export function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readValues(file: string): Values {
  let parsed: unknown;
  try {
    parsed = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(`cannot read the values file ${file}: ${asError(error).message}`, { cause: error });
  }
  if (parsed === null || parsed === undefined) return {};
  if (!isMap(parsed)) throw new UserError(`the values file ${file} holds no map at its top level`);
  return parsed;
}

function unknownFunction(name: string, known: readonly string[]): UserError {
  const guess = closestName(name, known);
  if (known.length === 0) return new UserError(`no function ${name}: the values have no \`functions\``);
  const hint = guess === undefined ? `known are ${known.join(', ')}` : `did you mean ${guess}?`;
  return new UserError(`no function ${name} in the values: ${hint}`);
}
