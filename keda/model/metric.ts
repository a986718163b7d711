/** Turns queue counts into the metric that KEDA gives the HPA, and decides whether the queue is active. */
import type { Fallback, Observation, Reading, ScalingSettings, ScalingState } from './types.ts';

/** One metric read through KEDA's fallback, with the failure count that follows from it. */
export interface MeteredReading {
  reading: Reading;
  failures: number;
}

/**
 * Reads the metric as KEDA does: an error counts, success resets the count, and above the threshold the
 * fallback replaces the metric (pkg/fallback/fallback.go).
 */
export function readMetric(
  state: ScalingState,
  observation: Observation,
  settings: ScalingSettings,
): MeteredReading {
  if (observation.error === undefined) return { reading: measure(observation, settings), failures: 0 };
  // KEDA connects over AMQP before it reads anything: without the broker it does not come to count a failure.
  if (observation.unreachable === true && settings.wakeUp === 'amqp')
    return { reading: { ok: false, error: observation.error }, failures: state.failures };
  return countFailure(state, observation.error, settings);
}

/** The last poll's reading, judged again: KEDA runs a cached error through the fallback a second time. */
export function readCached(state: ScalingState, settings: ScalingSettings): MeteredReading | null {
  if (state.cached === null) return null;
  if (state.cached.ok) return { reading: state.cached, failures: 0 };
  return countFailure(state, state.cached.error, settings);
}

/** Whether KEDA counts the queue as active. The comparison is strict: exactly `activationMessages` is inactive. */
export function isActive(reading: Reading, observation: Observation, settings: ScalingSettings): boolean {
  if (!reading.ok) return false;
  // A single trigger is active whenever its fallback is; a formula's fallback is compared like any value.
  if (reading.fromFallback && settings.metric === 'queue-length') return true;
  if (settings.metric === 'busy-floor') return reading.milli > 0;
  return observation.ready + observation.unacked > settings.activationMessages;
}

function measure({ ready, unacked }: Observation, settings: ScalingSettings): Reading {
  const { slots, messagesPerReplica, activationMessages } = settings;
  const total = ready + unacked;
  if (settings.metric === 'queue-length') {
    const targetMilli = Math.round(messagesPerReplica * 1_000);
    return { ok: true, milli: Math.round(total * 1_000), targetMilli, fromFallback: false };
  }
  // At or below the activation count the formula gives 0, unless a worker is busy.
  const awake = unacked > 0 || total > activationMessages;
  const composite = awake ? Math.max(unacked / slots, total / messagesPerReplica) : 0;
  // A formula's result is cut to milli-units, not rounded (pkg/scaling/modifiers/formula.go).
  return { ok: true, milli: Math.trunc(composite * 1_000), targetMilli: 1_000, fromFallback: false };
}

function countFailure(state: ScalingState, error: string, settings: ScalingSettings): MeteredReading {
  const { fallback } = settings;
  if (fallback === null) return { reading: { ok: false, error }, failures: 0 };
  const failures = state.failures + 1;
  if (failures <= fallback.failureThreshold) return { reading: { ok: false, error }, failures };
  const targetMilli = settings.metric === 'busy-floor' ? 1_000 : settings.messagesPerReplica * 1_000;
  const milli = Math.trunc(targetMilli * fallbackReplicas(fallback, state.replicas));
  return { reading: { ok: true, milli, targetMilli, fromFallback: true }, failures };
}

function fallbackReplicas({ behavior, replicas }: Fallback, current: number): number {
  switch (behavior) {
    case 'static':
      return replicas;
    case 'currentReplicas':
      return current;
    case 'currentReplicasIfHigher':
      return Math.max(current, replicas);
    case 'currentReplicasIfLower':
      return Math.min(current, replicas);
  }
}
