/** What the options of several commands have in common: `--json`, and values that are checked while they are read. */
import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../errors.ts';
import { parseDuration } from '../units.ts';

/** The longest that a timer can run. */
const MAX_WAIT_SECONDS = 2_147_483;

/** Adds `--json` and the examples that every command has. */
export function conventional(command: Command, ...examples: string[]): Command {
  const shown = examples.map((example) => `  $ ${example}`).join('\n');
  return command.option('--json', 'print JSON for programs').addHelpText('after', `\nExample:\n${shown}`);
}

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return (text) => {
    if (/^\d+$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`expected a whole number ${bounds}.`);
  };
}

export function positiveWhole(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('expected a whole number of 1 or more.');
  return Number(text);
}

/** Milliseconds. */
export function positiveDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0)
    throw new InvalidArgumentError('expected a time such as 500ms, 30s, 5m, 1h or 1d.');
  return ms;
}

/** A part of a whole. */
export function share(text: string): number {
  const value = Number(text);
  if (/^[\d.]+$/.test(text) && value <= 1) return value;
  throw new InvalidArgumentError('expected a share from 0 to 1, such as 0.7.');
}

/** @throws UserError */
export function positiveNumber(option: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new UserError(`${option}: expected a number above 0, got "${text}".`);
}

/** `30` or `30s`. @throws UserError */
export function seconds(option: string, text: string): number {
  const value = Number(text.replace(/s$/, ''));
  if (value > 0 && value < MAX_WAIT_SECONDS) return value;
  throw new UserError(`${option}: expected a number of seconds, got "${text}".`);
}
