/**
 * Decides what follows a delivery: a pure function from what is known of it to one decision, as data. `settle.ts`
 * carries the decision out; no other place publishes what follows a task, or acknowledges one.
 */
import { HEADERS, type Hop, type StepRecord, type Task } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import type { Decision, MarkFirst, Policy, Verdict } from './decision.ts';
import { type DeliveryContext, eventOf, finalEventOf, submittedMs } from './delivery-context.ts';
import {
  type BrokerNames,
  copyMessage,
  deadLetter,
  eventMessage,
  type Message,
  replyMessages,
  retryMessage,
  stepMessage,
} from './messages.ts';
import type { ReplyImage, StepFailure, Timings } from './protocol.ts';

/** RabbitMQ 4 refuses larger messages; a larger image is named in the event instead. */
const MAX_REPLY_BYTES = 15 * 1_048_576;

/** @param marker the one that stands after a {@link MarkFirst} */
export function decide(
  context: DeliveryContext,
  verdict: Verdict,
  policy: Policy,
  marker?: TaskMarker,
): Decision | MarkFirst {
  switch (verdict.kind) {
    case 'stepped':
      return goOn(context, verdict.timings, policy);
    case 'completed':
      return finish(context, verdict.marker, 'completed', policy, verdict.image);
    case 'ended':
      return finish(
        context,
        verdict.marker,
        verdict.marker.outcome === 'cancelled' ? 'cancelled' : 'repeated',
        policy,
        verdict.image,
      );
    case 'restart':
      return startAgain(context, policy, marker);
    case 'failed':
      return tryAgainOrGiveUp(context, verdict, policy, marker);
    case 'misrouted':
      return forward(context, verdict.due, policy);
    case 'given-back':
      return giveBack(context, policy);
  }
}

/** The step is done: the task goes on to the queue of the next one. */
function goOn(context: DeliveryContext, timings: Timings, { at, workMs, nowMs }: Policy): Decision {
  const { filter, hop, queueMs } = context;
  const record: StepRecord = { filter, attempt: hop.attempt, queue_ms: queueMs, work_ms: Math.round(workMs) };
  const next = nextHop(context, [record], nowMs);
  const following = context.task.steps[next.step]!.filter;
  const timings_ms = Object.fromEntries(
    Object.entries(timings).map(([phase, ms]) => [phase, Math.round(ms * 10) / 10]),
  );
  return {
    messages: [stepMessage(at, context, next)],
    needsQueueOf: following,
    announcements: [
      eventOf(context, 'step-completed', { ...record, next: following, timings_ms, worker: context.worker }),
    ],
    settlement: 'completed',
    log: {
      level: 'info',
      text: 'step completed',
      fields: { work_ms: record.work_ms, queue_ms: queueMs, next: following },
    },
  };
}

/** Where the task stands after these steps. */
function nextHop(context: DeliveryContext, done: StepRecord[], nowMs: number): Hop {
  const { hop } = context;
  return {
    ...hop,
    step: hop.step + done.length,
    attempt: 0,
    publishedMs: nowMs,
    submittedMs: submittedMs(context),
    firstFailedMs: null,
    history: [...hop.history, ...done],
  };
}

/** The task has ended, now or earlier: its final event and the reply are told, and a letter that is still owed. */
function finish(
  context: DeliveryContext,
  marker: TaskMarker,
  settlement: 'completed' | 'cancelled' | 'repeated',
  { at }: Policy,
  image?: ReplyImage,
): Decision {
  const { delivery, task } = context;
  const event = finalEventOf(context, marker);
  const fits = image !== undefined && marker.outcome === 'completed' && image.bytes.length <= MAX_REPLY_BYTES;
  const messages = [eventMessage(at, event), ...replyMessages(delivery, event, fits ? image : undefined)];
  if (marker.outcome === 'failed' && isLetterOwed(context, marker))
    messages.push(
      letterOf(at, context, String(marker.data.failure_type), String(marker.data.failure_reason)),
    );
  const leavesSomething = task.steps.length > 1 || delivery.headers[HEADERS.recorded] === true;
  return {
    messages,
    announcements: [],
    // A failed task keeps its intermediates for a replay.
    ...(leavesSomething && marker.outcome !== 'failed' && { cleanUp: task.id }),
    settlement,
    log: {
      level: 'info',
      text: 'task ended',
      fields: {
        outcome: marker.outcome,
        repeat: settlement === 'repeated',
        output: (marker.data.output as { key?: string } | undefined)?.key,
      },
    },
  };
}

/**
 * A worker that died between marker and dead letter left the letter to whoever comes next: to its own message, given
 * to another worker, or to a later step, when that worker's last words were written after the other had gone on.
 */
function isLetterOwed({ delivery, hop }: DeliveryContext, marker: TaskMarker): boolean {
  return delivery.redelivered || hop.step > Number(marker.data.step ?? hop.step);
}

/** Somebody removed the image between two steps: the task starts again rather than being lost. */
function startAgain(context: DeliveryContext, policy: Policy, marker?: TaskMarker): Decision | MarkFirst {
  const { hop } = context;
  if (hop.inline) {
    const message = `The image that step ${hop.step - 1} left for step ${hop.step} is gone from the storage, and the original came inside the first message.`;
    const failure = failed('reject', 'input-not-found', message);
    return tryAgainOrGiveUp(context, failure, policy, marker);
  }
  const first: Hop = { ...hop, step: 0, attempt: 0, publishedMs: policy.nowMs, history: [] };
  return {
    messages: [stepMessage(policy.at, context, first)],
    needsQueueOf: context.task.steps[0]!.filter,
    announcements: [],
    settlement: 'restarted',
    log: {
      level: 'warn',
      text: 'the image between two steps is gone; the task starts again',
      fields: {},
    },
  };
}

function tryAgainOrGiveUp(
  context: DeliveryContext,
  failure: StepFailure,
  policy: Policy,
  marker?: TaskMarker,
): Decision | MarkFirst {
  const delayMs = policy.retryDelaysMs[context.hop.attempt];
  if (failure.consequence === 'reject' || delayMs === undefined)
    return giveUp(context, failure, policy, marker);
  return tryAgain(context, failure, delayMs, policy);
}

function tryAgain(
  context: DeliveryContext,
  failure: StepFailure,
  delayMs: number,
  { at, nowMs, jitter }: Policy,
): Decision {
  const { hop, worker } = context;
  const next: Hop = {
    ...hop,
    attempt: hop.attempt + 1,
    publishedMs: nowMs + delayMs,
    submittedMs: submittedMs(context),
    firstFailedMs: hop.firstFailedMs ?? nowMs,
  };
  const reason = {
    failure_type: failure.failureType,
    failure_reason: failure.message,
    attempt: next.attempt,
    delay_ms: delayMs,
  };
  return {
    messages: [retryMessage(at, context, next, delayMs, jitter)],
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
  standing?: TaskMarker,
): Decision | MarkFirst {
  const { delivery, task, hop } = context;
  const attempts = hop.attempt + 1;
  const retried = failure.consequence === 'retry' ? ` (given up after ${attempts} attempts)` : '';
  const data = {
    step: hop.step,
    failure_type: failure.failureType,
    failure_reason: failure.message + retried,
    attempts,
    worker: context.worker,
  };
  const marker = failureMarker(task, hop, data, policy.nowMs);
  // The task that owns this id has told its own end, and its marker stays.
  const isReused = failure.failureType === 'task-id-reused';
  if (!isReused && standing === undefined) return { mark: marker };
  if (standing !== undefined && standing.outcome !== 'failed')
    return finish(context, standing, 'repeated', policy);
  const event = finalEventOf(context, marker);
  return {
    messages: [
      letterOf(policy.at, context, data.failure_type, data.failure_reason),
      ...(isReused ? [] : [eventMessage(policy.at, event)]),
      ...replyMessages(delivery, event),
    ],
    announcements: [],
    settlement: 'failed',
    log: { level: 'error', text: 'task failed', fields: { ...data, stack: failure.stack } },
  };
}

function failureMarker(task: Task, hop: Hop, data: Record<string, unknown>, nowMs: number): TaskMarker {
  return {
    task_id: task.id,
    generation: hop.generation,
    fingerprint: task.fingerprint,
    outcome: 'failed',
    time: new Date(nowMs).toISOString(),
    data,
  };
}

function letterOf(at: BrokerNames, context: DeliveryContext, failureType: string, reason: string): Message {
  const { filter, worker, task, hop, delivery } = context;
  return deadLetter(at, delivery, { filter, worker, task, hop, failureType, reason });
}

function forward({ delivery }: DeliveryContext, due: string, { at }: Policy): Decision {
  return {
    messages: [copyMessage(at, delivery, due)],
    needsQueueOf: due,
    announcements: [],
    settlement: 'forwarded',
    log: { level: 'info', text: 'task forwarded to its own queue', fields: { to: due } },
  };
}

/** At the drain deadline: a fresh copy for another worker, because a requeue may count as a failure. */
function giveBack({ delivery, filter }: DeliveryContext, { at }: Policy): Decision {
  return {
    messages: [copyMessage(at, delivery, filter)],
    announcements: [],
    settlement: 'given-back',
    log: { level: 'warn', text: 'the worker must stop: task given back', fields: {} },
    otherwise: 'nack',
  };
}

/** There is no queue for the message of a decision: the step is tried again, for somebody may declare it. */
export function noQueueFor(filter: string): StepFailure {
  return failed(
    'retry',
    'network',
    `There is no queue for the filter "${filter}", which is due next. Declare it with: darkroom queues declare`,
  );
}

function failed(
  consequence: StepFailure['consequence'],
  failureType: StepFailure['failureType'],
  message: string,
): StepFailure {
  return { kind: 'failed', consequence, failureType, message };
}
