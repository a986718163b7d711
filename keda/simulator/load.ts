/** When messages arrive: named profiles, or counts per second from a file. */
import { readFileSync } from 'node:fs';
import { asError, UserError } from '../../runtime/errors.ts';
import { randomStream } from '../random.ts';

export const PROFILES = ['burst', 'ramp', 'steady', 'spike', 'daily'] as const;
export type ArrivalProfile = (typeof PROFILES)[number];

/** A load as the simulator takes it. */
export interface Load {
  /** Arrival times in milliseconds from the start, ascending. */
  arrivalsMs: Float64Array;
  durationMs: number;
}

/** A burst is published within this time: a fast publisher's speed. */
const BURST_MS = 1_000;
/** Steps of the table through which a profile's shape is drawn; a day has one every 86 s. */
const SHAPE_STEPS = 1_000;
/** The spike is this many times the base rate, for SPIKE_SHARE of the time. */
const SPIKE_FACTOR = 10;
const SPIKE_SHARE = 0.1;

/** What each profile looks like: relative rate at x, from 0 (start) to 1 (end). */
const SHAPES: Record<Exclude<ArrivalProfile, 'burst'>, (x: number) => number> = {
  steady: () => 1,
  ramp: (x) => x,
  spike: (x) => (Math.abs(x - 0.5) < SPIKE_SHARE / 2 ? SPIKE_FACTOR : 1),
  // Quiet at night, a morning peak, a lower afternoon one and some evening.
  daily: (x) => 0.08 + hump(x, 10.5, 2.2) + 0.8 * hump(x, 15.5, 2.5) + 0.35 * hump(x, 20.5, 1.8),
};

/**
 * A profile's arrivals: a Poisson process with the profile's rate, given that `messages` arrive in all.
 * The same seed gives the same arrivals.
 */
export function profileLoad(
  profile: ArrivalProfile,
  messages: number,
  durationMs: number,
  seed: number,
): Load {
  const random = randomStream(seed, 1);
  if (profile === 'burst') {
    const within = Math.min(BURST_MS, durationMs);
    return { arrivalsMs: sortedUniforms(messages, random).map((u) => u * within), durationMs };
  }
  return { arrivalsMs: drawFromShape(SHAPES[profile], messages, durationMs, random), durationMs };
}

/** Counts per second, each spread at random within its second. */
export function countsLoad(countsPerSecond: readonly number[], seed: number): Load {
  const random = randomStream(seed, 1);
  const arrivalsMs = new Float64Array(countsPerSecond.reduce((sum, count) => sum + count, 0));
  let at = 0;
  countsPerSecond.forEach((count, second) => {
    for (const u of sortedUniforms(count, random)) arrivalsMs[at++] = (second + u) * 1_000;
  });
  return { arrivalsMs, durationMs: countsPerSecond.length * 1_000 };
}

/**
 * Reads counts per second: JSON (`[3, 0, 7]` or `[{ "second": 0, "count": 3 }, …]`) or CSV (`count` or
 * `second,count` a line, with or without a header). Seconds left out count 0.
 *
 * @throws UserError naming the file and the line
 */
export function readCounts(file: string): number[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the load ${file}: ${asError(error).message}`, { cause: error });
  }
  const rows = /^\s*[[{]/.test(text) ? jsonRows(file, text) : csvRows(file, text);
  if (rows.length === 0) throw new UserError(`the load ${file} holds no counts`);
  const counts = new Array<number>(Math.max(...rows.map(({ second }) => second)) + 1).fill(0);
  for (const { second, count } of rows) counts[second] = (counts[second] ?? 0) + count;
  return counts;
}

/** The same shape with another total: fractions are carried over, so that the sum is exact. */
export function scaleCounts(counts: readonly number[], messages: number): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let wanted = 0;
  let given = 0;
  return counts.map((count) => {
    wanted += (count * messages) / total;
    const next = Math.round(wanted) - given;
    given += next;
    return next;
  });
}

/** Order statistics of uniforms without sorting: running sums of exponentials, over their total. */
function sortedUniforms(count: number, random: () => number): Float64Array {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum -= Math.log(1 - random());
    sums[i] = sum;
  }
  sum -= Math.log(1 - random());
  return sums.map((partial) => partial / sum);
}

/** Draws through the shape's cumulative distribution; both run upwards, so one pass suffices. */
function drawFromShape(
  shape: (x: number) => number,
  messages: number,
  durationMs: number,
  random: () => number,
): Float64Array {
  const weights = Array.from({ length: SHAPE_STEPS }, (_, i) => shape((i + 0.5) / SHAPE_STEPS));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let bin = 0;
  let below = 0;
  return sortedUniforms(messages, random).map((u) => {
    const target = u * total;
    while (bin < SHAPE_STEPS - 1 && below + (weights[bin] ?? 0) < target) below += weights[bin++] ?? 0;
    const within = (target - below) / (weights[bin] ?? 1);
    return ((bin + within) / SHAPE_STEPS) * durationMs;
  });
}

function hump(x: number, hour: number, width: number): number {
  return Math.exp(-(((x * 24 - hour) / width) ** 2));
}

interface Row {
  second: number;
  count: number;
}

function jsonRows(file: string, text: string): Row[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new UserError(`the load ${file} is not JSON: ${asError(error).message}`, { cause: error });
  }
  if (!Array.isArray(parsed))
    throw new UserError(`the load ${file} must be a JSON list of counts per second`);
  return parsed.map((entry: unknown, index) => {
    const row =
      typeof entry === 'object' && entry !== null ? (entry as Partial<Row>) : { second: index, count: entry };
    return checkedRow(row.second, row.count, `${file}, entry ${index}`);
  });
}

function csvRows(file: string, text: string): Row[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines
    .flatMap((line, index) => {
      if (line === '' || line.startsWith('#') || (index === 0 && /[a-z]/i.test(line))) return [];
      const cells = line.split(/[,;\t]/).map(Number);
      const [second, count] = cells.length > 1 ? cells : [undefined, cells[0]];
      return [{ second, count, index }];
    })
    .map(({ second, count, index }, order) =>
      checkedRow(second ?? order, count, `${file}, line ${index + 1}`),
    );
}

function checkedRow(second: unknown, count: unknown, where: string): Row {
  const fine = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
  if (!fine(second) || !fine(count)) {
    throw new UserError(`${where}: expected whole numbers of 0 or more, second and count`);
  }
  return { second, count };
}
