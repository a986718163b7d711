/** What the simulator says of the load that was measured: the same arrivals, service times and settings. */
import type { ScalingSettings } from '../../keda/model.ts';
import { type Percentiles, percentiles, type Run, type ServiceTime, simulate } from '../../keda/simulator.ts';

export interface PredictedQueue {
  filter: string;
  /** Milliseconds from the start of the run, ascending, and the task of each. */
  arrivalsMs: Float64Array;
  tasks: readonly string[];
  service: ServiceTime;
  settings: ScalingSettings;
  initialReplicas: number;
  podStartMs: number;
  statsIntervalMs: number;
}

export interface PredictionOptions {
  queues: readonly PredictedQueue[];
  /** Scaling's clock ran so many times faster. */
  speed: number;
  /** How long scaling waits between two looks at the clock, beside its intervals; milliseconds. */
  loopMs: number;
  /** Each simulates with polls at another moment and service times drawn anew. */
  seeds: readonly number[];
  /** How long was measured; series and workers' hours go so far, or until all is done. */
  horizonMs: number;
}

/** All queues together, at every second. */
export interface PredictedSeries {
  stepMs: number;
  wanted: number[];
  pods: number[];
  ready: number[];
  busy: number[];
  /** Steps completed a second. */
  completed: number[];
}

export interface Outlook {
  waitMs: Percentiles;
  latencyMs: Percentiles;
  makespanMs: number;
  peakReplicas: number;
  peakReady: number;
  workerHours: number;
  filters: Record<string, { waitMs: Percentiles; peakReplicas: number }>;
  series: PredictedSeries;
  waits: Moments;
  latencies: Moments;
}

/** Spans of time, each told at its end: when work began, or the task ended. Milliseconds from the start. */
export interface Moments {
  atMs: Float64Array;
  spanMs: Float32Array;
}

export interface Prediction {
  /** The run in the middle by the wait's p95: what is drawn. */
  typical: Outlook;
  /** All runs, one a seed. */
  all: Outlook[];
}

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const MOST_SECONDS = 20_000;

export function predict(options: PredictionOptions): Prediction {
  const all = options.seeds.map((seed) => outlook(options, seed)).sort((a, b) => a.waitMs.p95 - b.waitMs.p95);
  return { typical: all[Math.floor(all.length / 2)] as Outlook, all };
}

interface SimulatedQueue {
  queue: PredictedQueue;
  run: Run;
}

function outlook(options: PredictionOptions, seed: number): Outlook {
  const { speed, horizonMs } = options;
  const simulated = options.queues.map((queue, index) => ({
    queue,
    run: simulateQueue(queue, options, seed * 101 + index),
  }));
  const drainedMs = Math.max(...simulated.map(({ run }) => run.drainedMs / speed));
  const firstMs = Math.min(...options.queues.map(({ arrivalsMs }) => arrivalsMs[0] ?? 0));
  const series = joinedSeries(simulated, speed, Math.max(horizonMs, drainedMs));
  const arrivalsMs = pooled(simulated, ({ queue }) => queue.arrivalsMs);
  const waitsMs = Float32Array.from(pooled(simulated, ({ run }) => run.waitsMs).map((ms) => ms / speed));
  const tasks = taskLatencies(simulated, speed);
  return {
    waitMs: percentiles(waitsMs),
    latencyMs: percentiles(tasks.latenciesMs),
    makespanMs: drainedMs - firstMs,
    peakReplicas: Math.max(...series.wanted),
    peakReady: Math.max(...series.ready),
    workerHours: (sum(series.pods.slice(0, Math.ceil(horizonMs / SECOND_MS))) * series.stepMs) / HOUR_MS,
    filters: Object.fromEntries(
      simulated.map(({ queue, run }) => [
        queue.filter,
        { waitMs: percentiles(run.waitsMs.map((ms) => ms / speed)), peakReplicas: run.maxReplicas },
      ]),
    ),
    series,
    waits: momentsOf(arrivalsMs, waitsMs),
    latencies: momentsOf(tasks.submittedMs, tasks.latenciesMs),
  };
}

/** What began at these times and took so long. */
export function momentsOf(fromMs: ArrayLike<number>, spanMs: Float32Array): Moments {
  return { atMs: Float64Array.from(spanMs, (ms, index) => (fromMs[index] as number) + ms), spanMs };
}

/** Scaling sees the world slowed down by `speed`, so the simulation runs on its clock. */
function simulateQueue(queue: PredictedQueue, { speed, loopMs }: PredictionOptions, seed: number): Run {
  const arrivalsMs = queue.arrivalsMs.map((ms) => ms * speed);
  return simulate({
    load: { arrivalsMs, durationMs: (arrivalsMs.at(-1) ?? 0) + 1 },
    service: slowed(queue.service, speed),
    settings: {
      ...queue.settings,
      pollingIntervalMs: noticed(queue.settings.pollingIntervalMs, loopMs * speed),
      hpaSyncIntervalMs: noticed(queue.settings.hpaSyncIntervalMs, loopMs * speed),
    },
    initialReplicas: queue.initialReplicas,
    podStartMs: queue.podStartMs * speed,
    statsIntervalMs: queue.statsIntervalMs * speed,
    seed,
  }).run;
}

/** A loop that looks at the clock now and then finds an interval over at its next look. */
function noticed(intervalMs: number, loopMs: number): number {
  return loopMs === 0 ? intervalMs : Math.ceil(intervalMs / loopMs) * loopMs;
}

function slowed(service: ServiceTime, speed: number): ServiceTime {
  const meanMs = service.meanMs * speed;
  return service.kind === 'lognormal'
    ? { kind: 'lognormal', meanMs, p95Ms: service.p95Ms * speed }
    : { kind: service.kind, meanMs };
}

function joinedSeries(simulated: readonly SimulatedQueue[], speed: number, endMs: number): PredictedSeries {
  const stepMs = Math.max(SECOND_MS, Math.ceil(endMs / MOST_SECONDS / SECOND_MS) * SECOND_MS);
  const steps = Math.ceil(endMs / stepMs) + 1;
  type Join = (values: readonly number[]) => number;
  const column = (pick: (run: Run) => readonly number[], join: Join, after: 'hold' | 'zero') =>
    Array.from({ length: steps }, (_, step) =>
      simulated.reduce((sum, { run }) => {
        const values = pick(run);
        const from = Math.floor((step * stepMs * speed) / run.series.stepMs);
        const until = Math.max(from + 1, Math.floor(((step + 1) * stepMs * speed) / run.series.stepMs));
        if (from < values.length) return sum + join(values.slice(from, until));
        return sum + (after === 'hold' ? (values.at(-1) ?? 0) : 0);
      }, 0),
    );
  const highest = (values: readonly number[]) => Math.max(...values);
  const mean = (values: readonly number[]) => sum(values) / values.length;
  return {
    stepMs,
    wanted: column(({ series }) => series.replicas, highest, 'hold'),
    pods: column(({ series }) => series.pods, mean, 'hold'),
    ready: column(({ series }) => series.depth, highest, 'zero'),
    busy: column(({ series }) => series.busy, mean, 'zero'),
    completed: column(
      ({ series }) => series.completed,
      (values) => mean(values) * speed,
      'zero',
    ),
  };
}

/** A task's latency is that of all its steps together. */
function taskLatencies(simulated: readonly SimulatedQueue[], speed: number) {
  const tasks = new Map<string, { submittedMs: number; latencyMs: number }>();
  for (const { queue, run } of simulated) {
    queue.tasks.forEach((id, index) => {
      const task = tasks.get(id) ?? { submittedMs: Number.POSITIVE_INFINITY, latencyMs: 0 };
      tasks.set(id, {
        submittedMs: Math.min(task.submittedMs, queue.arrivalsMs[index] as number),
        latencyMs: task.latencyMs + (run.latenciesMs[index] as number) / speed,
      });
    });
  }
  const all = [...tasks.values()];
  return {
    submittedMs: Float64Array.from(all, ({ submittedMs }) => submittedMs),
    latenciesMs: Float32Array.from(all, ({ latencyMs }) => latencyMs),
  };
}

function pooled(
  simulated: readonly SimulatedQueue[],
  pick: (one: SimulatedQueue) => ArrayLike<number>,
): Float64Array {
  return Float64Array.from(simulated.flatMap((one) => Array.from(pick(one))));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
