/**
 * The HorizontalPodAutoscaler that KEDA makes: one sync from metric to count. After
 * k8s.io/kubernetes/pkg/controller/podautoscaler (horizontal.go, replica_calculator.go).
 */
import { nextRandom } from '../random.ts';
import { type Limited, limitWithBehavior, limitWithoutBehavior } from './behavior.ts';
import { readCached, readMetric } from './metric.ts';
import type {
  Observation,
  Reading,
  Reason,
  ReasonKind,
  ScalingDecision,
  ScalingSettings,
  ScalingState,
} from './types.ts';

/** Events and recommendations older than the longest window Kubernetes accepts are forgotten. */
const LONGEST_WINDOW_MS = 3_600_000;

/** One sync. With 0 replicas the HPA is disabled: only KEDA scales from zero. */
export function sync(
  state: ScalingState,
  observation: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  const { nowMs } = observation;
  const due = scheduleNext(state, nowMs, settings);
  const current = due.replicas;
  if (current === 0) return decide(due, [reason('disabled', 'rests at 0 replicas')]);
  const least = Math.max(1, settings.minReplicas);
  if (current > settings.maxReplicas)
    return clampTo(due, settings.maxReplicas, 'the maximum', observation, settings);
  if (current < least) return clampTo(due, least, 'the minimum', observation, settings);

  const { reading, failures } =
    (settings.useCachedMetrics ? readCached(due, settings) : null) ?? readMetric(due, observation, settings);
  const metered: ScalingState = { ...due, failures };
  if (!reading.ok) {
    return decide(metered, [
      reason('frozen', `cannot read the metric (${reading.error}): stays at ${current}`),
    ]);
  }
  const asked = recommend(reading, observation.statusReplicas ?? current, settings);
  const limit = settings.behavior === null ? limitWithoutBehavior : limitWithBehavior;
  return conclude(metered, asked, limit(metered, asked.replicas, nowMs, settings), observation, settings);
}

interface Asked {
  replicas: number;
  explanation: string;
  tolerated: boolean;
}

/** AverageValue in milli-units: the metric over the target, unless it is within tolerance of what exists. */
function recommend(
  reading: Extract<Reading, { ok: true }>,
  statusReplicas: number,
  settings: ScalingSettings,
): Asked {
  const { milli, targetMilli } = reading;
  const ratio = milli / (targetMilli * statusReplicas);
  const { scaleUp, scaleDown } = settings.tolerance;
  const source = reading.fromFallback ? 'fallback metric' : 'metric';
  const explanation = `${source} ${milli / 1_000} at ${targetMilli / 1_000} a replica`;
  if (ratio >= 1 - scaleDown && ratio <= 1 + scaleUp) {
    return {
      replicas: statusReplicas,
      explanation: `${explanation} is within tolerance of ${statusReplicas}`,
      tolerated: true,
    };
  }
  const replicas = Math.ceil(milli / targetMilli);
  return { replicas, explanation: `${explanation} asks for ${replicas}`, tolerated: false };
}

function conclude(
  state: ScalingState,
  asked: Asked,
  limited: Limited,
  observation: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  const current = state.replicas;
  const recommendations = [
    ...(state.recommendations ?? []),
    { atMs: observation.nowMs, count: asked.replicas },
  ];
  const next = rescale({ ...state, recommendations }, limited.replicas, observation.nowMs, settings);
  const outcome: Reason =
    limited.replicas === current
      ? reason(
          asked.tolerated ? 'within-tolerance' : 'on-target',
          `${asked.explanation}: stays at ${current}`,
        )
      : reason(
          limited.replicas > current ? 'scaled-up' : 'scaled-down',
          `${asked.explanation}: ${current} → ${limited.replicas}`,
        );
  return decide(next, [outcome, ...limited.reasons]);
}

function clampTo(
  state: ScalingState,
  replicas: number,
  bound: string,
  { nowMs }: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  const explanation = `brought to ${bound}: ${state.replicas} → ${replicas}`;
  return decide(rescale(state, replicas, nowMs, settings), [reason('clamped', explanation)]);
}

/** Sets the count and keeps the event, unless there is no behavior that would read it. */
function rescale(
  state: ScalingState,
  replicas: number,
  nowMs: number,
  { behavior }: ScalingSettings,
): ScalingState {
  const change = replicas - state.replicas;
  if (change === 0 || behavior === null) return { ...state, replicas };
  const event = { atMs: nowMs, count: Math.abs(change) };
  return change > 0
    ? { ...state, replicas, added: [...state.added, event] }
    : { ...state, replicas, removed: [...state.removed, event] };
}

/** Plans the next sync and drops what no window reaches. */
function scheduleNext(state: ScalingState, nowMs: number, settings: ScalingSettings): ScalingState {
  const { value, seed } = nextRandom(state.jitterSeed);
  const jitterMs = Math.round((value * 2 - 1) * settings.hpaSyncJitterMs);
  const keep = ({ atMs }: { atMs: number }) => atMs >= nowMs - LONGEST_WINDOW_MS;
  return {
    ...state,
    nextSyncMs: nowMs + Math.max(1, settings.hpaSyncIntervalMs + jitterMs),
    jitterSeed: seed,
    // The HPA takes the count it first meets as its first recommendation.
    recommendations: state.recommendations?.filter(keep) ?? [{ atMs: nowMs, count: state.replicas }],
    added: state.added.filter(keep),
    removed: state.removed.filter(keep),
  };
}

function reason(kind: ReasonKind, text: string): Reason {
  return { by: 'hpa', kind, text };
}

function decide(state: ScalingState, reasons: Reason[]): ScalingDecision {
  return { state, replicas: state.replicas, reasons };
}
