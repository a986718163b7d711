/**
 * Recommends a replica count from a queue's recent metrics, with a reason, a confidence and an urgency. A pure
 * function.
 */
import { humanDuration } from '../runtime/units.ts';
import type { ScalingSettings } from './model.ts';
import type { QueueSample } from './recommend/sample.ts';
import { type Trend, trendOf } from './recommend/trend.ts';

export interface Recommendation {
  action: 'scale-up' | 'scale-down' | 'hold' | 'investigate';
  currentReplicas: number;
  recommendedReplicas: number;
  reason: string;
  /** 0 to 1: how well the samples support it. */
  confidence: number;
  urgency: 'low' | 'normal' | 'high' | 'critical';
  /** What it is based on; rates in messages a second, null when unknown. */
  facts: {
    ready: number;
    unacked: number;
    arrivalRate: number | null;
    completionRate: number | null;
    /** Until the backlog is gone at the present rates; null = never, or unknown. */
    drainMs: number | null;
  };
}

/** A backlog that takes longer than this to drain makes scaling up urgent. */
const SLOW_DRAIN_MS = 300_000;
/** Workers that hold messages this long without one acknowledgement are stuck, not slow. */
const STUCK_MS = 120_000;
/** More redeliveries than this share of the acknowledgements means tasks fail over and over. */
const REDELIVERY_SHARE = 0.5;

/** @param samples in order of time, at least one */
export function recommend(samples: readonly QueueSample[], settings: ScalingSettings): Recommendation {
  const last = samples.at(-1);
  if (last === undefined) throw new RangeError('recommend needs at least one sample');
  const trend = trendOf(samples);
  const needed = neededReplicas(last, trend, settings);
  const problem = problemIn(samples, last, trend, settings);
  const verdict = problem ?? judge(last, trend, needed, settings);
  return {
    ...verdict,
    currentReplicas: replicasOf(last, settings),
    confidence: Math.round(confidenceIn(trend) * 100) / 100,
    facts: {
      ready: last.ready,
      unacked: last.unacked,
      arrivalRate: trend.arrivalRate,
      completionRate: trend.completionRate,
      drainMs: drainMs(last, trend),
    },
  };
}

/** Each replica has a consumer for every slot. */
function replicasOf({ consumers }: QueueSample, { slots }: ScalingSettings): number {
  return Math.ceil(consumers / slots);
}

type Verdict = Pick<Recommendation, 'action' | 'recommendedReplicas' | 'reason' | 'urgency'>;

interface Need {
  /** What backlog and rates ask for, before the bounds. */
  raw: number;
  /** The same within minReplicas and maxReplicas. */
  bounded: number;
  why: string;
}

/** The scaling formula's count, or what keeps up with the arrivals if that is more. */
function neededReplicas({ ready, unacked }: QueueSample, trend: Trend, settings: ScalingSettings): Need {
  const { minReplicas, maxReplicas, slots, messagesPerReplica, activationMessages } = settings;
  const total = ready + unacked;
  const awake = unacked > 0 || total > activationMessages;
  const byBacklog = awake ? Math.ceil(Math.max(unacked / slots, total / messagesPerReplica)) : 0;
  const { arrivalRate, ratePerSlot } = trend;
  const perReplica = ratePerSlot === null ? null : ratePerSlot * slots;
  const byRate =
    awake && arrivalRate !== null && perReplica !== null ? Math.ceil(arrivalRate / perReplica) : 0;
  const raw = Math.max(byBacklog, byRate);
  const why =
    byRate > byBacklog
      ? `${rate(arrivalRate)} arrive and one worker completes ${rate(perReplica)}`
      : unacked / slots > total / messagesPerReplica
        ? `${unacked} ${unacked === 1 ? 'task is' : 'tasks are'} in work${slots === 1 ? '' : `, ${slots} a replica`}`
        : `${total} messages at ${messagesPerReplica} a replica`;
  return { raw, bounded: Math.min(maxReplicas, Math.max(minReplicas, raw)), why };
}

/** A problem that more or fewer replicas would not fix. */
function problemIn(
  samples: readonly QueueSample[],
  last: QueueSample,
  trend: Trend,
  settings: ScalingSettings,
): Verdict | null {
  const first = samples[0] ?? last;
  const current = replicasOf(last, settings);
  const hold = { action: 'investigate', recommendedReplicas: current } as const;
  const spanMs = last.atMs - first.atMs;
  const neverServed = samples.every(
    ({ consumers, ready }) => consumers === 0 && ready > settings.activationMessages,
  );
  if (neverServed && spanMs > settings.pollingIntervalMs + 60_000) {
    const reason = `${last.ready} messages have waited ${humanDuration(spanMs)} without a worker: look at the ScaledObject's conditions and at pods that do not start`;
    return { ...hold, recommendedReplicas: Math.max(1, settings.minReplicas), reason, urgency: 'critical' };
  }
  const acknowledged = (last.acknowledged ?? 0) - (first.acknowledged ?? 0);
  const alwaysBusy = samples.every(({ unacked }) => unacked > 0);
  if (trend.completionRate === 0 && alwaysBusy && spanMs >= STUCK_MS) {
    const reason = `${current} workers hold ${last.unacked} messages and have acknowledged none in ${humanDuration(spanMs)}: they are stuck, not too few`;
    return { ...hold, reason, urgency: 'high' };
  }
  const redelivered = (last.redelivered ?? 0) - (first.redelivered ?? 0);
  if (redelivered >= 3 && redelivered > acknowledged * REDELIVERY_SHARE) {
    const reason = `${redelivered} redeliveries against ${acknowledged} acknowledgements: tasks fail or workers die, so more workers would fail more`;
    return { ...hold, reason, urgency: 'high' };
  }
  if (trend.rising && current >= settings.maxReplicas && last.ready > settings.messagesPerReplica * current) {
    const reason = `${last.ready} messages wait and the backlog grows, with all ${settings.maxReplicas} replicas running: raise maxReplicas, make tasks quicker or slow the senders`;
    return { ...hold, reason, urgency: 'critical' };
  }
  return null;
}

function judge(last: QueueSample, trend: Trend, need: Need, settings: ScalingSettings): Verdict {
  const current = replicasOf(last, settings);
  const { bounded, raw, why } = need;
  const capped = raw > bounded ? ` (${raw} without maxReplicas ${settings.maxReplicas})` : '';
  if (bounded > current && !withinTolerance(bounded, current, settings.tolerance.scaleUp)) {
    const reason = `${why}: ${bounded} replicas are needed${capped}, ${current} run`;
    return { action: 'scale-up', recommendedReplicas: bounded, reason, urgency: urgencyUp(last, trend) };
  }
  if (
    bounded < current &&
    !trend.rising &&
    !withinTolerance(bounded, current, settings.tolerance.scaleDown)
  ) {
    const idle = current - Math.ceil(last.unacked / settings.slots);
    const what = bounded === 0 ? 'nothing waits and nothing is in work' : why;
    const reason = `${what}: ${bounded} replicas suffice, ${current} run (${idle} idle)`;
    return { action: 'scale-down', recommendedReplicas: bounded, reason, urgency: 'low' };
  }
  const reason =
    bounded < current && trend.rising
      ? `${bounded} replicas would suffice now, but the backlog is rising: keep ${current}`
      : `${current} replicas are right: ${raw === 0 ? 'there is no work' : why}${capped}`;
  return { action: 'hold', recommendedReplicas: current, reason, urgency: 'low' };
}

function urgencyUp(last: QueueSample, trend: Trend): Recommendation['urgency'] {
  if (last.consumers === 0) return 'high';
  const drain = drainMs(last, trend);
  if (trend.rising && drain === null) return 'high';
  return drain !== null && drain > SLOW_DRAIN_MS ? 'high' : 'normal';
}

function withinTolerance(wanted: number, current: number, tolerance: number): boolean {
  return current > 0 && Math.abs(wanted / current - 1) <= tolerance;
}

function drainMs({ ready, unacked }: QueueSample, { arrivalRate, completionRate }: Trend): number | null {
  if (ready + unacked === 0) return 0;
  if (arrivalRate === null || completionRate === null || completionRate <= arrivalRate) return null;
  return Math.round(((ready + unacked) / (completionRate - arrivalRate)) * 1_000);
}

/** More samples, a longer span and steadier rates give more confidence; known rates give more than depth alone. */
function confidenceIn({ samples, spanMs, steadiness, ratesKnown }: Trend): number {
  const amount = Math.min(1, samples / 5) * 0.3 + Math.min(1, spanMs / 60_000) * 0.3;
  return Math.min(0.98, 0.2 + amount + steadiness * (ratesKnown ? 0.2 : 0.1));
}

function rate(perSecond: number | null): string {
  return perSecond === null ? '?' : `${perSecond >= 10 ? Math.round(perSecond) : perSecond.toPrecision(2)}/s`;
}
