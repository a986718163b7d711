/** The vocabulary of the scaling model: what is set, what is seen, what is remembered, what is decided. */

/** How fast the HPA may change the count: one entry of `policies` in the HPA v2 API. */
export interface ScalingPolicy {
  type: 'Pods' | 'Percent';
  value: number;
  /** Length of the window over which `value` is the most that may change. */
  periodMs: number;
}

/** One direction of the HPA's `behavior`, with Kubernetes' defaults filled in. */
export interface ScalingRules {
  stabilizationWindowMs: number;
  selectPolicy: 'Max' | 'Min' | 'Disabled';
  policies: ScalingPolicy[];
}

export interface ScalingBehavior {
  scaleUp: ScalingRules;
  scaleDown: ScalingRules;
}

export const FALLBACK_BEHAVIORS = [
  'static',
  'currentReplicas',
  'currentReplicasIfHigher',
  'currentReplicasIfLower',
] as const;

/** KEDA's `fallback`: the count to hold once the metric has failed more than `failureThreshold` times in a row. */
export interface Fallback {
  failureThreshold: number;
  /** 0 is a trap: KEDA then lets the errors through to scale-to-zero. */
  replicas: number;
  behavior: (typeof FALLBACK_BEHAVIORS)[number];
}

/** The settings of one queue's ScaledObject and HPA. */
export interface ScalingSettings {
  minReplicas: number;
  maxReplicas: number;
  /** Tasks that one worker has in hand at once. */
  slots: number;
  messagesPerReplica: number;
  /** KEDA scales from zero, and keeps the queue active, while there are more messages than this. */
  activationMessages: number;
  /**
   * `amqp`: KEDA asks the queue itself as well, so what waits is known at once; `http`: from the management API's counts
   * alone, which are some seconds old.
   */
  wakeUp: 'amqp' | 'http';
  pollingIntervalMs: number;
  cooldownMs: number;
  initialCooldownMs: number;
  /**
   * `busy-floor`: the chart's formula `max((total − ready) ÷ slots, total ÷ messagesPerReplica)` with target 1, which
   * never asks for fewer replicas than the tasks in work fill, and is 0 at or below activationMessages while no
   * worker is busy. `queue-length`: all messages against a target of messagesPerReplica, as a plain RabbitMQ trigger does.
   */
  metric: 'busy-floor' | 'queue-length';
  /** true: the HPA reads the last poll. false: each HPA sync asks the broker anew. */
  useCachedMetrics: boolean;
  fallback: Fallback | null;
  /** null: the HPA's old path (doubling, 300 s of the highest recommendation). */
  behavior: ScalingBehavior | null;
  /** How far the metric may be off target without a change; a fraction, 0.1 unless set. */
  tolerance: { scaleUp: number; scaleDown: number };
  hpaSyncIntervalMs: number;
  /** Each sync comes up to this much early or late, as network latency does. 0 = exact. */
  hpaSyncJitterMs: number;
}

/** What broker and cluster report at one moment. */
export interface Observation {
  nowMs: number;
  /** Messages waiting; the higher of both counts where two are read. */
  ready: number;
  /** Messages delivered and not acknowledged: with prefetch 1, the number of busy slots. */
  unacked: number;
  /** Why the counts could not be read; `ready` and `unacked` are then ignored. */
  error?: string | undefined;
  /** With an error: the queue cannot be asked either, so that the whole broker is away. */
  unreachable?: boolean | undefined;
  /** Pods that exist (`status.replicas`); defaults to the wanted count. */
  statusReplicas?: number | undefined;
}

export interface TimedCount {
  atMs: number;
  count: number;
}

/** What KEDA hands to the HPA: milli-units, as Kubernetes quantities are compared. */
export type Reading =
  | { ok: true; milli: number; targetMilli: number; fromFallback: boolean }
  | { ok: false; error: string };

/** Everything the model remembers between steps: plain data, never changed in place. */
export interface ScalingState {
  /** `spec.replicas` of the Deployment. */
  replicas: number;
  createdAtMs: number;
  nextPollMs: number;
  nextSyncMs: number;
  /** When KEDA last saw work, in whole seconds as the Kubernetes API stores it; null = never. */
  lastActiveMs: number | null;
  /** Failed readings in a row; polls and HPA syncs both count. */
  failures: number;
  /** The last poll's reading, for useCachedMetrics. */
  cached: Reading | null;
  /** The HPA's raw recommendations; null before its first sync. */
  recommendations: TimedCount[] | null;
  /** Replicas that the HPA added and removed; KEDA's own 0↔1 is not among them. */
  added: TimedCount[];
  removed: TimedCount[];
  jitterSeed: number;
}

export type ReasonKind =
  | 'activated'
  | 'active'
  | 'idle'
  | 'cooling-down'
  | 'scaled-to-zero'
  | 'raised-to-min'
  | 'frozen'
  | 'disabled'
  | 'scaled-up'
  | 'scaled-down'
  | 'within-tolerance'
  | 'on-target'
  | 'limited'
  | 'stabilized'
  | 'clamped';

/** Why KEDA or the HPA decided so, for programs (`kind`) and for people (`text`). */
export interface Reason {
  by: 'keda' | 'hpa';
  kind: ReasonKind;
  text: string;
}

export interface ScalingDecision {
  state: ScalingState;
  /** The count wanted from now on; the same as `state.replicas`. */
  replicas: number;
  /** Empty when neither a poll nor a sync was due. */
  reasons: Reason[];
}
