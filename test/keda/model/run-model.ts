/** Runs the scaling model over a list of observations. */
import {
  DEFAULT_SETTINGS,
  initialState,
  nextDueMs,
  type Observation,
  type ScalingDecision,
  type ScalingSettings,
  type ScalingState,
  settingsFromValues,
  step,
} from '../../../keda/model.ts';

const SECOND = 1_000;
/** 2026-01-01T00:00:00.400Z: not a whole second, so that whole-second storage shows. */
export const MODEL_START_MS = 1_767_225_600_400;
export const WITH_BEHAVIOR = settingsFromValues(
  { defaults: { scaling: { behavior: { scaleDown: {} } } } },
  '',
).behavior;

export const modelSettings = (changes: Partial<ScalingSettings> = {}): ScalingSettings => ({
  ...DEFAULT_SETTINGS,
  maxReplicas: 100,
  messagesPerReplica: 5,
  pollingIntervalMs: 30 * SECOND,
  ...changes,
});

interface Seen extends Partial<Observation> {
  /** Seconds after MODEL_START_MS. */
  at: number;
}

/** Steps at every due moment up to `until` seconds, seeing the latest of `seen`; returns each decision with its second. */
export function runModel(start: ScalingState, config: ScalingSettings, until: number, seen: Seen[]) {
  const decisions: { at: number; decision: ScalingDecision }[] = [];
  let state = start;
  while (nextDueMs(state) <= MODEL_START_MS + until * SECOND) {
    const nowMs = nextDueMs(state);
    const at = (nowMs - MODEL_START_MS) / SECOND;
    const { at: _, ...counts } = seen.findLast((entry) => entry.at <= at) ?? { at: 0 };
    const decision = step(state, { ready: 0, unacked: 0, ...counts, nowMs }, config);
    decisions.push({ at, decision });
    state = decision.state;
  }
  return { state, decisions, replicas: decisions.map(({ decision }) => decision.replicas) };
}

/** The distinct counts, in order. */
export function distinctCounts(replicas: number[]): number[] {
  return replicas.filter((count, index) => count !== replicas[index - 1]);
}

/** A state whose HPA syncs on the quarter minutes while KEDA does not poll. */
export const hpaOnly = (replicas: number): ScalingState => ({
  ...initialState(MODEL_START_MS, replicas),
  nextPollMs: Number.POSITIVE_INFINITY,
});
export const kedaOnly = (replicas: number): ScalingState => ({
  ...initialState(MODEL_START_MS, replicas),
  nextSyncMs: Number.POSITIVE_INFINITY,
});
