/** What was measured, in numbers: waits, latencies, throughput, peaks. */
import { type Percentiles, percentiles } from '../../keda/simulator.ts';
import type { LedgerEntry } from '../support/ledger.ts';
import { type QueueVisit, visitsOf } from './load-ledger.ts';
import type { Sample } from './recorder.ts';

export interface Measured {
  /** Of each stay in a queue, from its arrival to the moment a worker took it, milliseconds. */
  waitMs: Percentiles;
  /** Of each task, from its submission until its final event reached us, milliseconds. */
  latencyMs: Percentiles;
  /** Of each stay in a queue, the time a worker had it in hand, carried steps included, milliseconds. */
  workMs: Percentiles;
  /** Tasks ended a second, from the first submission to the last end. */
  throughput: number;
  /** From the first submission to the last end, milliseconds. */
  makespanMs: number;
  /** The most workers asked for at once; the most that consumed where nobody says. */
  peakReplicas: number;
  peakReady: number;
  /** Workers' time, summed, hours. */
  workerHours: number;
  filters: Record<string, MeasuredFilter>;
}

export interface MeasuredFilter {
  steps: number;
  waitMs: Percentiles;
  workMs: Percentiles;
  peakReplicas: number;
  peakReady: number;
}

const HOUR_MS = 3_600_000;

export function measure(entries: readonly LedgerEntry[], samples: readonly Sample[]): Measured {
  const visits = visitsOf(entries);
  const ended = entries.filter(({ endedMs }) => endedMs !== undefined && !Number.isNaN(endedMs));
  const firstMs = entries.reduce(
    (first, { submittedMs }) => Math.min(first, submittedMs),
    Number.POSITIVE_INFINITY,
  );
  const lastMs = ended.reduce((last, { endedMs }) => Math.max(last, endedMs as number), firstMs);
  const makespanMs = ended.length === 0 ? 0 : lastMs - firstMs;
  const filters = [...new Set(visits.map(({ filter }) => filter))].sort();
  return {
    ...times(visits),
    latencyMs: percentiles(
      Float32Array.from(ended, (entry) => (entry.endedMs as number) - entry.submittedMs),
    ),
    throughput: makespanMs === 0 ? 0 : (ended.length * 1_000) / makespanMs,
    makespanMs,
    peakReplicas: most(samples, ({ total }) => replicasOf(total)),
    peakReady: most(samples, ({ total }) => total.ready),
    workerHours: workerMs(samples) / HOUR_MS,
    filters: Object.fromEntries(
      filters.map((filter) => {
        const own = visits.filter((visit) => visit.filter === filter);
        return [
          filter,
          {
            steps: own.length,
            ...times(own),
            peakReplicas: most(samples, ({ filters: levels }) => replicasOf(levels[filter])),
            peakReady: most(samples, ({ filters: levels }) => levels[filter]?.ready ?? Number.NaN),
          },
        ];
      }),
    ),
  };
}

/** Asked for, where somebody says; else those that consume. */
export function replicasOf(level: Sample['total'] | undefined): number {
  if (level === undefined) return Number.NaN;
  return Number.isNaN(level.wanted) ? level.consumers : level.wanted;
}

function times(visits: readonly QueueVisit[]) {
  return {
    waitMs: percentiles(Float32Array.from(visits, ({ waitMs }) => waitMs)),
    workMs: percentiles(Float32Array.from(visits, ({ workMs }) => workMs)),
  };
}

function most(samples: readonly Sample[], pick: (sample: Sample) => number): number {
  return samples.reduce((highest, sample) => {
    const value = pick(sample);
    return value > highest ? value : highest;
  }, 0);
}

function workerMs(samples: readonly Sample[]): number {
  return samples.reduce((sum, { atMs, total }, index) => {
    const nextMs = samples[index + 1]?.atMs ?? atMs;
    const workers = Number.isNaN(total.running) ? total.consumers : total.running;
    return sum + (Number.isNaN(workers) ? 0 : workers * (nextMs - atMs));
  }, 0);
}
