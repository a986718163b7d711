/**
 * KEDA's own loop: it scales a queue's workers from zero and back to zero; between 1 and N the HPA decides. After pkg/scaling/executor/scale_scaledobjects.go.
 */
import { isActive, readMetric } from './metric.ts';
import type {
  Observation,
  Reason,
  ReasonKind,
  ScalingDecision,
  ScalingSettings,
  ScalingState,
} from './types.ts';

/** One poll: reads the metric, then decides about 0 and about the minimum. */
export function poll(
  state: ScalingState,
  observation: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  const { reading, failures } = readMetric(state, observation, settings);
  const polled: ScalingState = {
    ...state,
    failures,
    cached: reading,
    nextPollMs: observation.nowMs + settings.pollingIntervalMs,
  };
  if (isActive(reading, observation, settings)) return whenActive(polled, observation, settings);
  if (!reading.ok && settings.fallback?.replicas !== 0) {
    return decide(
      polled,
      'frozen',
      `cannot read the queue (${reading.error}): ${freezeExplanation(polled, settings)}`,
    );
  }
  return whenInactive(polled, observation, settings);
}

function whenActive(
  state: ScalingState,
  { nowMs, ...seen }: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  // The Kubernetes API keeps times in whole seconds, so a cooldown can end up to a second early.
  const active: ScalingState = { ...state, lastActiveMs: Math.floor(nowMs / 1_000) * 1_000 };
  const cause =
    seen.error === undefined ? `${messages(seen.ready + seen.unacked)}` : 'the fallback counts as work';
  if (state.replicas > 0) return decide(active, 'active', `${cause}: stays awake`);
  const replicas = Math.max(1, settings.minReplicas);
  return decide(
    { ...active, replicas },
    'activated',
    `${cause}, more than ${settings.activationMessages}: 0 → ${replicas}`,
  );
}

function whenInactive(
  state: ScalingState,
  observation: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  const { minReplicas } = settings;
  if (state.replicas > 0 && minReplicas === 0) return towardsZero(state, observation, settings);
  if (state.replicas < minReplicas) {
    const explanation = `raised to the minimum: ${state.replicas} → ${minReplicas}`;
    return decide({ ...state, replicas: minReplicas }, 'raised-to-min', explanation);
  }
  return decide(state, 'idle', 'no work');
}

/** Zero is reached in one step from any count, whatever the HPA's behavior says. */
function towardsZero(
  state: ScalingState,
  { nowMs }: Observation,
  settings: ScalingSettings,
): ScalingDecision {
  const endsMs =
    state.lastActiveMs === null
      ? state.createdAtMs + settings.initialCooldownMs
      : state.lastActiveMs + settings.cooldownMs;
  if (endsMs < nowMs) {
    const explanation =
      state.lastActiveMs === null
        ? `never any work: ${state.replicas} → 0`
        : `no work for ${seconds(nowMs - state.lastActiveMs)}: ${state.replicas} → 0`;
    return decide({ ...state, replicas: 0 }, 'scaled-to-zero', explanation);
  }
  return decide(state, 'cooling-down', `no work; to zero in ${seconds(endsMs - nowMs)}`);
}

function freezeExplanation(state: ScalingState, { fallback }: ScalingSettings): string {
  if (fallback === null) return `stays at ${state.replicas}`;
  return `stays at ${state.replicas}, failure ${state.failures} of ${fallback.failureThreshold} before the fallback`;
}

function decide(state: ScalingState, kind: ReasonKind, text: string): ScalingDecision {
  const reason: Reason = { by: 'keda', kind, text };
  return { state, replicas: state.replicas, reasons: [reason] };
}

function messages(count: number): string {
  return `${count} ${count === 1 ? 'message' : 'messages'}`;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1_000)} s`;
}
