/** Lays the simulator's prediction beside what was measured, and says how far they are apart. */
import { SIMULATION_DEFAULTS } from '../../keda/simulator.ts';
import { type Calibration, calibrate } from './calibrate.ts';
import { type LoadLedger, type QueueVisit, visitsOf } from './load-ledger.ts';
import type { Measured } from './measured.ts';
import { type Outlook, type PredictedQueue, type Prediction, predict } from './predict.ts';
import type { Sample } from './recorder.ts';
import type { Target } from './targets.ts';

/** One figure both ways. */
export interface Compared {
  name: string;
  /** `ms` reads as a time, `count` as a whole number, `hours` as hours. */
  unit: 'ms' | 'count' | 'hours';
  measured: number;
  /** The middle of all simulated runs, and their ends. */
  predicted: number;
  low: number;
  high: number;
  /** Predicted by measured; NaN when nothing was measured. */
  ratio: number;
}

export interface Comparison {
  prediction: Prediction;
  figures: Compared[];
  /** By filter: what the simulator was told. */
  told: Record<string, Calibration & { podStartMs: number; statsMs: number; initialReplicas: number }>;
}

/** Simulated so often; large loads average by themselves. */
const SEEDS = 15;
const SEEDS_LARGE = 5;
const LARGE_VISITS = 50_000;

/** @returns undefined where nobody knows how the workers are scaled, or nothing was worked on */
export function compare(
  ledger: LoadLedger,
  samples: readonly Sample[],
  measured: Measured,
  target: Pick<Target, 'settings' | 'speed' | 'loopMs'>,
  startMs: number,
): Comparison | undefined {
  const visits = visitsOf(ledger.entries.values());
  const told: Comparison['told'] = {};
  const queues: PredictedQueue[] = [];
  for (const [filter, own] of Map.groupBy(visits, (visit) => visit.filter)) {
    const settings = target.settings(filter);
    const calibration = calibrate(filter, visits, ledger.starts, samples, settings?.slots);
    if (settings === undefined || calibration === undefined) return undefined;
    const facts = {
      ...calibration,
      podStartMs: calibration.startMs ?? SIMULATION_DEFAULTS.podStartMs,
      statsMs: calibration.statsIntervalMs ?? SIMULATION_DEFAULTS.statsIntervalMs,
      initialReplicas: samples[0]?.filters[filter]?.wanted || settings.minReplicas,
    };
    told[filter] = facts;
    queues.push({
      filter,
      ...arrivalsOf(own, startMs),
      settings,
      service: facts.service,
      initialReplicas: facts.initialReplicas,
      podStartMs: facts.podStartMs,
      statsIntervalMs: facts.statsMs,
    });
  }
  if (queues.length === 0) return undefined;
  const runs = visits.length > LARGE_VISITS ? SEEDS_LARGE : SEEDS;
  const prediction = predict({
    queues,
    speed: target.speed,
    loopMs: target.loopMs,
    seeds: Array.from({ length: runs }, (_, index) => index + 1),
    horizonMs: samples.at(-1)?.atMs ?? 0,
  });
  return { prediction, told, figures: figuresOf(measured, prediction) };
}

/** How far a prediction is off, as a share of what was measured: 0.04 is 4 % too much. */
export function errorOf({ ratio }: Compared): number {
  return ratio - 1;
}

function arrivalsOf(visits: readonly QueueVisit[], startMs: number) {
  return {
    arrivalsMs: Float64Array.from(visits, ({ arrivedMs }) => Math.max(0, arrivedMs - startMs)),
    tasks: visits.map(({ task }) => task),
  };
}

function figuresOf(measured: Measured, { all }: Prediction): Compared[] {
  const figure = (
    name: string,
    unit: Compared['unit'],
    value: number,
    pick: (outlook: Outlook) => number,
  ): Compared => {
    const sorted = all.map(pick).sort((a, b) => a - b);
    const predicted = sorted[Math.floor(sorted.length / 2)] as number;
    const [low, high] = [sorted[0] as number, sorted.at(-1) as number];
    const ratio = value === 0 ? Number.NaN : predicted / value;
    return { name, unit, measured: value, predicted, low, high, ratio };
  };
  return [
    figure('Time in queue, p50', 'ms', measured.waitMs.p50, ({ waitMs }) => waitMs.p50),
    figure('Time in queue, p95', 'ms', measured.waitMs.p95, ({ waitMs }) => waitMs.p95),
    figure('Total latency, p95', 'ms', measured.latencyMs.p95, ({ latencyMs }) => latencyMs.p95),
    figure('First submission to last end', 'ms', measured.makespanMs, ({ makespanMs }) => makespanMs),
    figure('Most workers', 'count', measured.peakReplicas, ({ peakReplicas }) => peakReplicas),
    figure('Longest queue', 'count', measured.peakReady, ({ peakReady }) => peakReady),
    figure('Worker-hours while recorded', 'hours', measured.workerHours, ({ workerHours }) => workerHours),
  ];
}
