/** A simulated run in numbers: waits, pod-hours, cost. */
import type { Load } from './load.ts';
import type { Run } from './types.ts';

export interface Percentiles {
  mean: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

export interface Summary {
  messages: number;
  completed: number;
  /** Messages that no worker ever took: too few to wake one, or out of simulated time. */
  stranded: number;
  /** From arrival to the start of work, milliseconds. */
  waitMs: Percentiles;
  /** From arrival to the end of work, milliseconds. */
  latencyMs: Percentiles;
  maxReplicas: number;
  maxDepth: number;
  podHours: number;
  /** null without a price. */
  cost: number | null;
  /** Share of the paid slots' time spent at work, 0 to 1. */
  utilisation: number;
  /** Messages a second from the first arrival to the last end. */
  throughput: number;
  /** From the last task's end to zero replicas (or the minimum), milliseconds; null = never. */
  timeToRestMs: number | null;
  scaleChanges: number;
  busyPodsHit: number;
  returned: number;
}

const HOUR_MS = 3_600_000;

/** @param pricePerPodHour in any currency; undefined leaves the cost out */
export function summarize(run: Run, slots: number, pricePerPodHour?: number): Summary {
  const messages = run.waitsMs.length;
  const podHours = run.podMs / HOUR_MS;
  return {
    messages,
    completed: run.completed,
    stranded: messages - run.completed,
    waitMs: percentiles(run.waitsMs),
    latencyMs: percentiles(run.latenciesMs),
    maxReplicas: run.maxReplicas,
    maxDepth: run.maxDepth,
    podHours,
    cost: pricePerPodHour === undefined ? null : podHours * pricePerPodHour,
    utilisation: run.podMs === 0 ? 0 : run.busyMs / (run.podMs * slots),
    throughput: run.drainedMs === 0 ? 0 : (run.completed * 1_000) / run.drainedMs,
    timeToRestMs: run.restedMs === null ? null : Math.max(0, run.restedMs - run.drainedMs),
    scaleChanges: run.changes.length,
    busyPodsHit: run.busyPodsHit,
    returned: run.returned,
  };
}

/** By nearest rank, without the NaN entries; zeros for no values. */
export function percentiles(values: Float32Array): Percentiles {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const { length } = sorted;
  if (length === 0) return { mean: 0, p50: 0, p95: 0, p99: 0, max: 0 };
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * length) - 1)] as number;
  let sum = 0;
  for (const value of sorted) sum += value;
  return { mean: sum / length, p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), max: rank(1) };
}

/** Waits over time, by when work began: one value a step, NaN where none began. */
export interface WaitCourse {
  stepMs: number;
  p50Ms: number[];
  p95Ms: number[];
}

const COURSE_STEPS = 240;

export function waitCourse({ arrivalsMs }: Load, { waitsMs }: Pick<Run, 'waitsMs'>): WaitCourse {
  const startsMs = arrivalsMs.map((arrivedMs, message) => arrivedMs + (waitsMs[message] as number));
  const endMs = startsMs.reduce((latest, startMs) => (startMs > latest ? startMs : latest), 0);
  const stepMs = Math.max(1_000, Math.ceil(endMs / COURSE_STEPS / 1_000) * 1_000);
  const steps: number[][] = Array.from({ length: Math.floor(endMs / stepMs) + 1 }, () => []);
  startsMs.forEach((startMs, message) => {
    if (!Number.isNaN(startMs)) steps[Math.floor(startMs / stepMs)]?.push(waitsMs[message] as number);
  });
  const course = steps.map((waits) =>
    waits.length === 0 ? undefined : percentiles(Float32Array.from(waits)),
  );
  return {
    stepMs,
    p50Ms: course.map((step) => step?.p50 ?? Number.NaN),
    p95Ms: course.map((step) => step?.p95 ?? Number.NaN),
  };
}
