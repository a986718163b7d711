/**
 * The scaling model: KEDA and the HPA as one pure function. State and observation in, decision out; the caller
 * holds the clock. The simulator, the laptop autoscaler and the tests all run it.
 */
import { sync } from './model/hpa.ts';
import { poll } from './model/keda.ts';
import type { Observation, ScalingDecision, ScalingSettings, ScalingState } from './model/types.ts';

export { DEFAULT_RULES, DEFAULT_SETTINGS, settingsFromValues } from './model/settings.ts';
export type * from './model/types.ts';

/** A new ScaledObject at `nowMs`: its first poll and its first HPA sync are due at once. */
export function initialState(nowMs: number, replicas = 0, seed = 1): ScalingState {
  return {
    replicas,
    // Kubernetes keeps creationTimestamp in whole seconds.
    createdAtMs: Math.floor(nowMs / 1_000) * 1_000,
    nextPollMs: nowMs,
    nextSyncMs: nowMs,
    lastActiveMs: null,
    failures: 0,
    cached: null,
    recommendations: null,
    added: [],
    removed: [],
    jitterSeed: seed,
  };
}

/** When {@link step} next has something to do. Calling it earlier changes nothing. */
export function nextDueMs(state: ScalingState): number {
  return Math.min(state.nextPollMs, state.nextSyncMs);
}

/** Does what is due at `observation.nowMs`: KEDA's poll, the HPA's sync, both (the poll first) or nothing. */
export function step(
  state: ScalingState,
  observation: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  let decision: ScalingDecision = { state, replicas: state.replicas, reasons: [] };
  if (observation.nowMs >= state.nextPollMs) decision = poll(state, observation, settings);
  if (observation.nowMs < state.nextSyncMs) return decision;
  const synced = sync(decision.state, observation, settings);
  return { ...synced, reasons: [...decision.reasons, ...synced.reasons] };
}
