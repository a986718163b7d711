/** Input and output of a simulation. */
import type { ScalingSettings } from '../model.ts';
import type { Load } from './load.ts';
import type { Series } from './series.ts';
import type { ServiceTime } from './service.ts';
import type { Sharing } from './sharing.ts';

/** `metrics`: only the counts cannot be read. `broker`: nothing is delivered either, and tasks in work come back. */
export interface Outage {
  kind: 'metrics' | 'broker';
  fromMs: number;
  untilMs: number;
}

export interface SimulationInput extends Sharing {
  settings: ScalingSettings;
  load: Load;
  /** How long one task takes that is alone in its pod. */
  service: ServiceTime;
  seed: number;
  /** From the decision to a pod that takes its first task. */
  podStartMs: number;
  /** How long a pod asked to go may finish its task; then the task goes back to the queue. */
  drainMs: number;
  /** Whether pods publish pod-deletion-cost, so that scale-in takes the least busy ones first. */
  deletionCost: boolean;
  /** The broker's counts are as old as its last statistics tick. 0 = live. */
  statsIntervalMs: number;
  outages: Outage[];
  initialReplicas: number;
  /** When the first poll and the first sync come: at random by the seed, or as late as possible. */
  phase: 'random' | 'worst';
  /** Stop once more than `messages` have waited longer than `waitMs`: the search then knows enough. */
  giveUp?: { waitMs: number; messages: number } | undefined;
}

export interface ScaleChange {
  atMs: number;
  from: number;
  to: number;
  reason: string;
}

/** The output; times are milliseconds from the start. */
export interface Run {
  /** Per message: from arrival to the start of its (last) work. NaN when it never started. */
  waitsMs: Float32Array;
  /** Per message: from arrival to its end. */
  latenciesMs: Float32Array;
  series: Series;
  changes: ScaleChange[];
  completed: number;
  /** When the last task was done. */
  drainedMs: number;
  /** When the replicas last went back to the minimum. null = not within the simulated time. */
  restedMs: number | null;
  endMs: number;
  podMs: number;
  /** Of all slots. */
  busyMs: number;
  maxReplicas: number;
  maxDepth: number;
  /** Scale-ins that caught a pod in work. */
  busyPodsHit: number;
  /** Tasks that a drain or an outage sent back to the queue. */
  returned: number;
  /** Stopped by `giveUp`: all figures are of an unfinished run. */
  gaveUp: boolean;
}
