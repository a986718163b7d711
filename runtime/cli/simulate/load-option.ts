/** Reads the options of `darkroom simulate`, with mistakes explained. */
import { existsSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import {
  type ArrivalProfile,
  countsLoad,
  type Load,
  type Outage,
  PROFILES,
  profileLoad,
  readCounts,
  scaleCounts,
} from '../../../keda/simulator.ts';
import { closestName } from '../../closest-name.ts';
import { UserError } from '../../errors.ts';
import { parseDuration } from '../../units.ts';

const DEFAULT_MESSAGES = 1_000;
const HOUR_MS = 3_600_000;
/** The simulator holds every message's times in memory: 16 bytes each. */
const MOST_MESSAGES = 50_000_000;

interface LoadOptions {
  load: string;
  messages?: number;
  duration?: number;
  seed: number;
}

/** A profile by name, or a file of counts per second. @throws UserError with the nearest profile's name */
export function loadFrom({ load, messages, duration, seed }: LoadOptions): Load {
  if (messages !== undefined && messages > MOST_MESSAGES) {
    throw new UserError(
      `--messages ${messages}: at most ${MOST_MESSAGES.toLocaleString('en')} can be simulated`,
    );
  }
  if (isProfile(load)) {
    const defaultMs = load === 'daily' ? 24 * HOUR_MS : HOUR_MS;
    return profileLoad(load, messages ?? DEFAULT_MESSAGES, duration ?? defaultMs, seed);
  }
  if (!existsSync(load)) {
    const guess = closestName(load, PROFILES);
    const hint = guess === undefined ? `profiles are ${PROFILES.join(', ')}` : `did you mean ${guess}?`;
    throw new UserError(`--load ${load}: neither a profile nor a file; ${hint}`);
  }
  if (duration !== undefined)
    throw new UserError('--duration goes with a profile; a file says how long it is');
  const counts = readCounts(load);
  return countsLoad(messages === undefined ? counts : scaleCounts(counts, messages), seed);
}

export function price(text: string): number {
  const amount = Number(text);
  if (!(amount >= 0) || text.trim() === '') throw new InvalidArgumentError('expected a number such as 0.04.');
  return amount;
}

/** `10m+2m` or `broker:10m+2m`, added to those given before. */
export function outageOption(text: string, before: Outage[] = []): Outage[] {
  const match = /^(?:(metrics|broker):)?([^+]+)\+([^+]+)$/.exec(text);
  const fromMs = parseDuration(match?.[2] ?? '');
  const lengthMs = parseDuration(match?.[3] ?? '');
  if (match === null || fromMs === undefined || lengthMs === undefined || lengthMs <= 0) {
    throw new InvalidArgumentError('expected start+length such as 10m+2m, or broker:10m+2m.');
  }
  const kind = match[1] === 'broker' ? 'broker' : 'metrics';
  return [...before, { kind, fromMs, untilMs: fromMs + lengthMs }];
}

function isProfile(text: string): text is ArrivalProfile {
  return (PROFILES as readonly string[]).includes(text);
}
