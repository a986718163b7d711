/** What a simulated run begins with. */
import { initialState, type ScalingState } from '../model.ts';
import { randomStream } from '../random.ts';
import type { Run, SimulationInput } from './types.ts';

/** A run without its series over time. */
export type RunFigures = Omit<Run, 'series'>;

/** In a real cluster the first poll and sync come at any time after the first message. */
export function firstState({ seed, settings, initialReplicas, phase }: SimulationInput): ScalingState {
  const { pollingIntervalMs, hpaSyncIntervalMs } = settings;
  const state = initialState(0, initialReplicas, seed);
  if (phase === 'worst') {
    // The first poll comes a whole interval later, and the HPA's sync just before it.
    return {
      ...state,
      nextPollMs: pollingIntervalMs,
      nextSyncMs: (pollingIntervalMs - 1) % hpaSyncIntervalMs,
    };
  }
  const random = randomStream(seed, 4);
  return {
    ...state,
    nextPollMs: Math.round(random() * pollingIntervalMs),
    nextSyncMs: Math.round(random() * hpaSyncIntervalMs),
  };
}

export function firstRun({ load, initialReplicas }: SimulationInput): RunFigures {
  return {
    waitsMs: new Float32Array(load.arrivalsMs.length).fill(Number.NaN),
    latenciesMs: new Float32Array(load.arrivalsMs.length).fill(Number.NaN),
    changes: [],
    completed: 0,
    drainedMs: 0,
    restedMs: null,
    endMs: 0,
    podMs: 0,
    busyMs: 0,
    maxReplicas: initialReplicas,
    maxDepth: 0,
    busyPodsHit: 0,
    returned: 0,
    gaveUp: false,
  };
}
