/**
 * Decides what follows a delivery: a pure function from what is known of it to one decision, as data. `settle.ts`
 * carries the decision out; no other place publishes what follows a task, or acknowledges one.
 */
import { unknownFilter } from '../functions.ts';
import type { TaskEvent } from '../task/events.ts';
import { MAX_DOUBTS, type StepRecord } from '../task/hop.ts';
import { finish } from './decide-end.ts';
import { tryAgainOrGiveUp } from './decide-failure.ts';
import type { Decision, MarkFirst, Policy, Verdict } from './decision.ts';
import {
  asDelivered,
  type DeliveryContext,
  eventOf,
  followingHop,
  hasNotPromised,
  nextHop,
  recordOf,
} from './delivery-context.ts';
import { againMessage, copyMessage, stepMessage } from './messages.ts';
import type { StandingMarker, StepFailure, Timings } from './protocol.ts';

/** How often a task is started again before its storage is said to be at fault. */
const MAX_RESTARTS = 3;

/** @param standing what stands after a {@link MarkFirst} */
export function decide(
  context: DeliveryContext,
  verdict: Verdict,
  policy: Policy,
  standing?: StandingMarker,
): Decision | MarkFirst {
  switch (verdict.kind) {
    case 'stepped':
      return goOn(context, verdict.timings, policy);
    case 'completed':
      return finish(context, verdict, 'completed', policy);
    case 'ended':
      return finish(
        context,
        verdict,
        verdict.marker.outcome === 'cancelled' ? 'cancelled' : 'repeated',
        policy,
      );
    case 'restart':
      return startAgain(context, policy, standing);
    case 'failed':
      return tryAgainOrGiveUp(context, verdict, policy, standing);
    case 'misrouted':
      return forward(context, verdict.due, policy);
    case 'given-back':
      return giveBack(context, policy);
    case 'suspect':
      return suspect(context, policy);
  }
}

/** The step is done: the task goes on to the queue of the next one. */
function goOn(context: DeliveryContext, timings: Timings, { at, workMs, nowMs }: Policy): Decision {
  const record = recordOf(context, workMs);
  const next = nextHop(context, record, nowMs);
  const following = context.task.steps[next.step]!.filter;
  return {
    messages: [stepMessage(at, context, next)],
    needsQueueOf: following,
    announcements: [stepCompleted(context, record, timings)],
    settlement: 'completed',
    log: {
      level: 'info',
      text: 'step completed',
      fields: { work_ms: record.work_ms, queue_ms: record.queue_ms, next: following },
    },
  };
}

/** The event of a step after which another comes. */
export function stepCompleted(context: DeliveryContext, record: StepRecord, timings: Timings): TaskEvent {
  const { task, hop, worker } = context;
  const timings_ms = Object.fromEntries(
    Object.entries(timings).map(([phase, ms]) => [phase, Math.round(ms * 10) / 10]),
  );
  const next = task.steps[hop.step + 1]!.filter;
  return eventOf(context, 'step-completed', { ...record, next, timings_ms, worker });
}

/** The image between two steps is gone or damaged: the task starts again rather than being lost, but not for ever. */
function startAgain(
  context: DeliveryContext,
  policy: Policy,
  standing?: StandingMarker,
): Decision | MarkFirst {
  const { hop, task } = context;
  const gone = `The image that step ${hop.step - 1} left for step ${hop.step} is not in the storage, or damaged`;
  if (hop.inline) {
    const message = `${gone}, and the original came inside the first message.`;
    return tryAgainOrGiveUp(context, failed('reject', 'input-not-found', message), policy, standing);
  }
  if (hop.restarts >= MAX_RESTARTS) {
    const message = `${gone}, and starting again ${MAX_RESTARTS} times did not help. Do all workers use the same storage (STORAGE_URL)?`;
    return tryAgainOrGiveUp(context, failed('reject', 'storage', message), policy, standing);
  }
  const restarts = hop.restarts + 1;
  const first = followingHop(context, {
    step: 0,
    attempt: 0,
    restarts,
    hasNotPromised: hasNotPromised(context),
    publishedMs: policy.nowMs,
    firstFailedMs: null,
    history: [],
  });
  return {
    messages: [stepMessage(policy.at, context, first)],
    needsQueueOf: task.steps[0]!.filter,
    announcements: [],
    settlement: 'restarted',
    log: {
      level: 'warn',
      text: 'the image between two steps is gone or damaged; the task starts again',
      fields: { restarts },
    },
  };
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
function giveBack(context: DeliveryContext, { at }: Policy): Decision {
  const delivered = asDelivered(context);
  const { isSuspect } = delivered.hop;
  return {
    messages: [againMessage(at, delivered, followingHop(delivered, { wasGivenBack: true, isSuspect }))],
    announcements: [],
    settlement: 'given-back',
    log: { level: 'warn', text: 'the worker cannot go on with it: task given back', fields: {} },
    otherwise: 'nack',
  };
}

/** Workers died that had it in hand beside others: it is tried alone, so that none of those is counted with it again. */
function suspect(context: DeliveryContext, { at }: Policy): Decision {
  return {
    messages: [againMessage(at, context, followingHop(context, { wasGivenBack: true, isSuspect: true }))],
    announcements: [],
    settlement: 'given-back',
    log: { level: 'warn', text: 'workers died with this task among others; it is tried alone', fields: {} },
    otherwise: 'nack',
  };
}

interface BeforeWork {
  crashLimit: number;
  /** Whether its worker may have other tasks in hand: their deaths are counted for it, too. Half of its chances it has alone. */
  hasNeighbours?: boolean;
  knownFilters: () => string[];
}

/** Looks before the leap: only a task that is due here, and did not take down workers before, is worked on. */
export function verdictBeforeWork(
  { task, hop, filter, delivery }: DeliveryContext,
  deliveryCount: number,
  { crashLimit, hasNeighbours = false, knownFilters }: BeforeWork,
): Verdict | undefined {
  const { doubts = 0 } = delivery;
  if (doubts > MAX_DOUBTS) {
    const message = `The task was begun anew ${doubts} times, because workers do not believe each other where it stands. They run as different users of the broker: name them in TRUSTED_USERS.`;
    return failed('reject', 'invalid-message', message);
  }
  const due = task.steps[hop.step]!.filter;
  if (due !== filter) {
    const known = knownFilters();
    if (known.includes(due)) return { kind: 'misrouted', due };
    const { failureType, message } = unknownFilter(due, known, `steps[${hop.step}].filter`);
    return failed('reject', failureType, message);
  }
  const beside = Math.ceil(crashLimit / 2);
  const alone = Math.max(1, crashLimit - beside);
  if (deliveryCount < (hop.isSuspect ? alone : hasNeighbours ? beside : crashLimit)) return undefined;
  if (hasNeighbours && !hop.isSuspect) return { kind: 'suspect' };
  const [times, last] = hop.isSuspect
    ? [beside + deliveryCount, ', at last with no other task beside it']
    : [deliveryCount, ''];
  const message = `This message was given to a worker ${times} times and each time the worker died or lost the broker before it could finish${last}; it is set aside so that it stops taking workers down.`;
  return failed('reject', 'poison', message);
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
