/** Rates and direction of a queue, from a few samples. */
import type { QueueSample } from './sample.ts';

export interface Trend {
  samples: number;
  spanMs: number;
  /** Messages a second; null with one sample, or without counters and rates. */
  arrivalRate: number | null;
  completionRate: number | null;
  /** What one busy slot completes a second: messages, each with the steps that are carried on with it. */
  ratePerSlot: number | null;
  /** The backlog grew over the span, by more than noise. */
  rising: boolean;
  /** 1 = the backlog changed equally in every interval; lower the more the changes differ. */
  steadiness: number;
  /** Arrivals and completions are both known. */
  ratesKnown: boolean;
}

/** A backlog rises when it grows by at least this many messages and by this share. */
const LEAST_RISE = 3;
const LEAST_RISE_SHARE = 0.05;

export function trendOf(samples: readonly QueueSample[]): Trend {
  const first = samples[0];
  const last = samples.at(-1);
  const spanMs = first === undefined || last === undefined ? 0 : last.atMs - first.atMs;
  if (first === undefined || last === undefined || spanMs <= 0) {
    return { ...UNKNOWN, samples: samples.length };
  }
  const seconds = spanMs / 1_000;
  const arrivalRate =
    counterRate(first.published, last.published, seconds) ??
    meanOf(samples.map(({ publishRate }) => publishRate));
  const completionRate =
    counterRate(first.acknowledged, last.acknowledged, seconds) ??
    meanOf(samples.map(({ ackRate }) => ackRate));
  const meanBusy = samples.reduce((sum, { unacked }) => sum + unacked, 0) / samples.length;
  const growth = backlog(last) - backlog(first);
  return {
    samples: samples.length,
    spanMs,
    arrivalRate,
    completionRate,
    ratePerSlot:
      completionRate === null || completionRate === 0 || meanBusy === 0 ? null : completionRate / meanBusy,
    rising: growth >= LEAST_RISE && growth >= backlog(first) * LEAST_RISE_SHARE,
    steadiness: steadinessOf(samples),
    ratesKnown: arrivalRate !== null && completionRate !== null,
  };
}

const UNKNOWN: Trend = {
  samples: 0,
  spanMs: 0,
  arrivalRate: null,
  completionRate: null,
  ratePerSlot: null,
  rising: false,
  steadiness: 0,
  ratesKnown: false,
};

/** A counter that went down was reset with its node and gives no rate. */
function counterRate(from: number | undefined, to: number | undefined, seconds: number): number | null {
  return from === undefined || to === undefined || to < from ? null : (to - from) / seconds;
}

function meanOf(rates: readonly (number | undefined)[]): number | null {
  const known = rates.filter((rate) => rate !== undefined);
  return known.length === 0 ? null : known.reduce((sum, rate) => sum + rate, 0) / known.length;
}

/** One minus the spread of the changes between samples, relative to the backlog's size. */
function steadinessOf(samples: readonly QueueSample[]): number {
  const changes = samples
    .slice(1)
    .map((sample, index) => backlog(sample) - backlog(samples[index] ?? sample));
  const mean = changes.reduce((sum, change) => sum + change, 0) / changes.length;
  const variance = changes.reduce((sum, change) => sum + (change - mean) ** 2, 0) / changes.length;
  const size = Math.max(1, ...samples.map(backlog));
  return Math.max(0, 1 - Math.sqrt(variance) / size);
}

function backlog({ ready, unacked }: QueueSample): number {
  return ready + unacked;
}
