/**
 * Simulates a queue that the scaling model scales under a load: replicas, depth, waits and cost. It goes event by
 * event, so a day of a million messages takes seconds.
 */
import { runSimulation } from './simulator/engine.ts';
import { type Summary, summarize } from './simulator/summary.ts';
import type { Run, SimulationInput } from './simulator/types.ts';

export {
  type ArrivalProfile,
  countsLoad,
  type Load,
  PROFILES,
  profileLoad,
  readCounts,
  scaleCounts,
} from './simulator/load.ts';
export type { Series } from './simulator/series.ts';
export { parseServiceTime, type ServiceTime } from './simulator/service.ts';
export {
  type Percentiles,
  percentiles,
  type Summary,
  type WaitCourse,
  waitCourse,
} from './simulator/summary.ts';
export type { Outage, Run, ScaleChange, SimulationInput } from './simulator/types.ts';

/** Pods start in 5 s, RabbitMQ counts every 5 s, a scale-in takes idle pods first, and tasks of one pod do not slow another. */
export const SIMULATION_DEFAULTS = {
  seed: 1,
  podStartMs: 5_000,
  drainMs: 90_000,
  deletionCost: true,
  statsIntervalMs: 5_000,
  cpuShare: 0,
  cpus: 1,
  phase: 'random',
  outages: [],
} as const;

export interface SimulationOptions
  extends Pick<SimulationInput, 'settings' | 'load' | 'service'>,
    Partial<Omit<SimulationInput, 'settings' | 'load' | 'service'>> {
  pricePerPodHour?: number | undefined;
}

export interface Simulation {
  run: Run;
  summary: Summary;
}

/** Pure: the same options give the same result. `initialReplicas` is the minimum unless given. */
export function simulate({ pricePerPodHour, ...options }: SimulationOptions): Simulation {
  const input: SimulationInput = {
    ...SIMULATION_DEFAULTS,
    outages: [],
    initialReplicas: options.settings.minReplicas,
    ...options,
  };
  const run = runSimulation(input);
  return { run, summary: summarize(run, input.settings.slots, pricePerPodHour) };
}
