/** How the HPA holds a recommendation back: stabilisation windows, rate limits, minimum and maximum. */
import type {
  Reason,
  ReasonKind,
  ScalingPolicy,
  ScalingRules,
  ScalingSettings,
  ScalingState,
  TimedCount,
} from './types.ts';

/** Without a behavior: the highest recommendation of this window wins (kube-controller-manager's default). */
export const DEFAULT_DOWNSCALE_WINDOW_MS = 300_000;
/** Without a behavior, one sync may at most double the count, and may always reach this. */
const SCALE_UP_FACTOR = 2;
const SCALE_UP_FLOOR = 4;

export interface Limited {
  replicas: number;
  /** What held the recommendation back; empty when nothing did. */
  reasons: Reason[];
}

/** For an HPA without a `behavior`, which KEDA makes unless one is set. */
export function limitWithoutBehavior(
  state: ScalingState,
  asked: number,
  nowMs: number,
  settings: ScalingSettings,
): Limited {
  const recent = since(state.recommendations, nowMs - DEFAULT_DOWNSCALE_WINDOW_MS, true);
  const stable = Math.max(asked, ...recent);
  const limits: Reason[] = [];
  if (stable !== asked)
    limits.push(held('stabilized', `${stable} was asked for within ${seconds(DEFAULT_DOWNSCALE_WINDOW_MS)}`));
  const upLimit = Math.max(SCALE_UP_FACTOR * state.replicas, SCALE_UP_FLOOR);
  const most = Math.min(settings.maxReplicas, upLimit);
  return bounded(stable, Math.max(1, settings.minReplicas), most, limits, {
    least: 'the minimum',
    most: settings.maxReplicas > upLimit ? `one sync reaches at most ${upLimit}` : 'the maximum',
  });
}

/** For an HPA with a `behavior`: windows in both directions, then policies. */
export function limitWithBehavior(
  state: ScalingState,
  asked: number,
  nowMs: number,
  settings: ScalingSettings,
): Limited {
  const { behavior, minReplicas, maxReplicas } = settings;
  if (behavior === null) return limitWithoutBehavior(state, asked, nowMs, settings);
  const stable = stabilize(state, asked, nowMs, behavior.scaleUp, behavior.scaleDown);
  const limits: Reason[] = [];
  if (stable !== asked) limits.push(held('stabilized', `recent recommendations hold it at ${stable}`));
  if (stable > state.replicas) {
    const upLimit = Math.max(state.replicas, highestAllowed(state, nowMs, behavior.scaleUp));
    const most = Math.min(maxReplicas, upLimit);
    const limit = maxReplicas > upLimit ? `scale-up policies allow ${upLimit} now` : 'the maximum';
    return bounded(stable, state.replicas, most, limits, { least: '', most: limit });
  }
  if (stable < state.replicas) {
    const downLimit = Math.min(state.replicas, lowestAllowed(state, nowMs, behavior.scaleDown));
    const least = Math.max(1, minReplicas, downLimit);
    const limit =
      downLimit > Math.max(1, minReplicas) ? `scale-down policies allow ${downLimit} now` : 'the minimum';
    return bounded(stable, least, state.replicas, limits, { least: limit, most: '' });
  }
  return { replicas: stable, reasons: limits };
}

/** Up only as far as every recommendation of the up window agrees, down only as far as those of the down window. */
function stabilize(
  state: ScalingState,
  asked: number,
  nowMs: number,
  up: ScalingRules,
  down: ScalingRules,
): number {
  const lowest = Math.min(asked, ...since(state.recommendations, nowMs - up.stabilizationWindowMs, false));
  const highest = Math.max(asked, ...since(state.recommendations, nowMs - down.stabilizationWindowMs, false));
  return Math.min(Math.max(state.replicas, lowest), highest);
}

function highestAllowed(state: ScalingState, nowMs: number, rules: ScalingRules): number {
  if (rules.selectPolicy === 'Disabled') return state.replicas;
  const proposals = rules.policies.map((policy) => {
    const start = countAtPeriodStart(state, nowMs, policy);
    return policy.type === 'Pods' ? start + policy.value : Math.ceil(start * (1 + policy.value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.min(...proposals) : Math.max(...proposals);
}

function lowestAllowed(state: ScalingState, nowMs: number, rules: ScalingRules): number {
  if (rules.selectPolicy === 'Disabled') return state.replicas;
  const proposals = rules.policies.map((policy) => {
    const start = countAtPeriodStart(state, nowMs, policy);
    return policy.type === 'Pods' ? start - policy.value : Math.trunc(start * (1 - policy.value / 100));
  });
  // The smallest change is the highest count here.
  return rules.selectPolicy === 'Min' ? Math.max(...proposals) : Math.min(...proposals);
}

/** An event exactly one period old no longer counts: why a 15 s policy and a 15 s sync race each other. */
function countAtPeriodStart(state: ScalingState, nowMs: number, { periodMs }: ScalingPolicy): number {
  const total = (events: TimedCount[]) =>
    since(events, nowMs - periodMs, false).reduce((sum, count) => sum + count, 0);
  return state.replicas - total(state.added) + total(state.removed);
}

function since(entries: TimedCount[] | null, cutoffMs: number, inclusive: boolean): number[] {
  const recent = (entries ?? []).filter(({ atMs }) => (inclusive ? atMs >= cutoffMs : atMs > cutoffMs));
  return recent.map(({ count }) => count);
}

function bounded(
  wanted: number,
  least: number,
  most: number,
  reasons: Reason[],
  limits: { least: string; most: string },
): Limited {
  if (wanted < least)
    return { replicas: least, reasons: [...reasons, held('limited', `held at ${least}: ${limits.least}`)] };
  if (wanted > most)
    return { replicas: most, reasons: [...reasons, held('limited', `held at ${most}: ${limits.most}`)] };
  return { replicas: wanted, reasons };
}

function held(kind: ReasonKind, text: string): Reason {
  return { by: 'hpa', kind, text };
}

function seconds(ms: number): string {
  return `${ms / 1_000} s`;
}
