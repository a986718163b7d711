/** Decides what follows a failed step: another try, or the end of the task. */
import type { Hop } from '../task/hop.ts';
import type { Task } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import { finish, letterFor } from './decide-end.ts';
import type { Decision, MarkFirst, Policy } from './decision.ts';
import {
  asDelivered,
  type DeliveryContext,
  eventOf,
  finalEventOf,
  followingHop,
  hasNotPromised,
} from './delivery-context.ts';
import { againMessage, eventMessage, replyMessages, retryMessage } from './messages.ts';
import type { StandingMarker, StepFailure } from './protocol.ts';

/** Tries beyond the usual ones for a task whose marker promises a result that is not stored. */
const PROMISED_TRIES = 20;

export function tryAgainOrGiveUp(
  context: DeliveryContext,
  failure: StepFailure,
  policy: Policy,
  standing?: StandingMarker,
): Decision | MarkFirst {
  const delayMs = policy.retryDelaysMs[context.delivered.hop.attempt];
  if (failure.consequence === 'reject' || delayMs === undefined)
    return giveUp(context, failure, policy, standing);
  return tryAgain(context, failure, delayMs, policy);
}

/** @param delayMs one of the delays for which there is a queue; undefined: at once */
function tryAgain(
  context: DeliveryContext,
  failure: StepFailure,
  delayMs: number | undefined,
  { at, nowMs, jitter }: Policy,
): Decision {
  const delivered = asDelivered(context);
  const { hop, worker } = delivered;
  const next = followingHop(delivered, {
    attempt: hop.attempt + 1,
    publishedMs: nowMs + (delayMs ?? 0),
    firstFailedMs: hop.firstFailedMs ?? nowMs,
    hasNotPromised: failure.hasNotPromised === true && hasNotPromised(context),
  });
  const reason = {
    failure_type: failure.failureType,
    failure_reason: failure.message,
    attempt: next.attempt,
    delay_ms: delayMs ?? 0,
  };
  const message =
    delayMs === undefined
      ? againMessage(at, delivered, next)
      : retryMessage(at, delivered, next, delayMs, jitter);
  return {
    messages: [message],
    announcements: [eventOf(context, 'retrying', { ...reason, worker })],
    settlement: 'retried',
    log: {
      level: 'warn',
      text: 'step failed; it will be tried again',
      fields: { ...reason, stack: failure.stack },
    },
  };
}

/** The end of a task that cannot succeed: marker, dead letter, final event. */
function giveUp(
  context: DeliveryContext,
  failure: StepFailure,
  policy: Policy,
  standing?: StandingMarker,
): Decision | MarkFirst {
  const { delivery, task, hop, delivered } = context;
  const attempts = delivered.hop.attempt + 1;
  const retried = failure.consequence === 'retry' ? ` (given up after ${attempts} attempts)` : '';
  const data = {
    step: hop.step,
    failure_type: failure.failureType,
    failure_reason: failure.message + retried,
    attempts,
    worker: context.worker,
  };
  const marker = failureMarker(task, delivered.hop, data, policy.nowMs);
  // The task that owns this id has told its own end, and its marker stays.
  const isIdReused = failure.failureType === 'task-id-reused' || standing?.isSameTask === false;
  if (!isIdReused) {
    if (standing === undefined) return { mark: marker };
    if (!standing.isStored)
      return failure.isResultRefused === true
        ? { mark: marker, replace: true }
        : keepPromise(context, failure, policy, marker, standing.marker);
    if (standing.marker.outcome !== 'failed') return finish(context, standing, 'repeated', policy);
  }
  const event = finalEventOf(context, marker);
  return {
    messages: [
      letterFor(policy.at, context, data.failure_type, data.failure_reason),
      ...(isIdReused ? [] : [eventMessage(policy.at, event)]),
      ...replyMessages(delivery, event),
    ],
    announcements: [],
    settlement: 'failed',
    log: { level: 'error', text: 'task failed', fields: { ...data, stack: failure.stack } },
  };
}

/**
 * A marker says that the task is completed, but its result is not stored. Perhaps another copy of the task is about to
 * store it: so this one is tried for longer, and fails only when nobody can be at it any more. A copy that has promised
 * nothing takes no promise back: the result was stored, and taken away by its owner.
 */
function keepPromise(
  context: DeliveryContext,
  failure: StepFailure,
  policy: Policy,
  marker: TaskMarker,
  promised: TaskMarker,
): Decision | MarkFirst {
  const { retryDelaysMs } = policy;
  if (context.delivered.hop.attempt < retryDelaysMs.length + PROMISED_TRIES)
    return tryAgain(context, failure, retryDelaysMs.at(-1), policy);
  if (!mayBeOfThisCopy(context, failure, promised))
    return finish(context, { marker: promised, isResultMissing: true }, 'repeated', policy);
  return { mark: marker, replace: true };
}

/** A delivery that began with another step did not write it, unless an earlier hop did, or the task was started again. */
function mayBeOfThisCopy(context: DeliveryContext, failure: StepFailure, marker: TaskMarker): boolean {
  const { task, delivered } = context;
  const { hop } = delivered;
  const fromStep = marker.from_step ?? task.steps.length - 1;
  if (hop.mayHavePromised && fromStep < hop.step) return true;
  if (failure.hasNotPromised === true && hasNotPromised(context)) return false;
  return hop.restarts > 0 || fromStep === hop.step;
}

/** @param hop as it was delivered */
function failureMarker(task: Task, hop: Hop, data: Record<string, unknown>, nowMs: number): TaskMarker {
  return {
    task_id: task.id,
    generation: hop.generation,
    fingerprint: task.fingerprint,
    outcome: 'failed',
    time: new Date(nowMs).toISOString(),
    from_step: hop.step,
    data,
  };
}
