/** `resize:width=800,height=600` on the command line, as a step of a task. */
import { UserError } from '../errors.ts';
import type { Step } from '../task/task.ts';

/**
 * `NAME`, `NAME:key=value,…` or `NAME:{json}`. Numbers, true and false are read as such; a comma inside
 * parentheses or double quotes belongs to its value: `rotate:angle=10,background=rgb(0,0,0)`.
 * @throws UserError
 */
export function parseStep(text: string): Step {
  const [, filter, rest = ''] = /^([^:]+)(?::(.*))?$/s.exec(text) ?? [];
  if (filter === undefined)
    throw new UserError(`--step: expected NAME:key=value,…, got ${JSON.stringify(text)}.`);
  return {
    filter: filter.trim(),
    params: rest.trimStart().startsWith('{') ? parseObject(rest, text) : parsePairs(rest, `--step ${text}`),
  };
}

/** Collects repeated `--step` options. */
export function collectStep(text: string, earlier: Step[] = []): Step[] {
  return [...earlier, parseStep(text)];
}

/** Collects repeated `--option key=value`. */
export function collectOption(text: string, earlier: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...earlier, ...parsePairs(text, `--option ${text}`) };
}

function parseObject(json: string, text: string): Record<string, unknown> {
  try {
    return JSON.parse(json) as Record<string, unknown>;
  } catch (error) {
    throw new UserError(`--step ${text}: the parameters are not JSON: ${(error as Error).message}.`);
  }
}

function parsePairs(rest: string, option: string): Record<string, unknown> {
  const pairs = rest.match(/(?:"[^"]*"|\([^)]*\)|[^,])+/g) ?? [];
  return Object.fromEntries(pairs.map((pair) => parsePair(pair.trim(), option)));
}

function parsePair(pair: string, option: string): [string, unknown] {
  const at = pair.indexOf('=');
  if (at < 1) throw new UserError(`${option}: expected key=value, got ${JSON.stringify(pair)}.`);
  return [pair.slice(0, at).trim(), parseValue(pair.slice(at + 1).trim())];
}

function parseValue(value: string): unknown {
  if (value === 'true' || value === 'false') return value === 'true';
  if (/^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  return value.replace(/^"(.*)"$/, '$1');
}
