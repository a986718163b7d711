/** Decides what becomes of a message that is no task, and of one that nothing else could settle: kept, in words. */
import type { TaskFailure } from '../errors.ts';
import type { TaskEvent } from '../task/events.ts';
import { HEADERS } from '../task/hop.ts';
import { shortenId } from '../task/task.ts';
import type { Decision } from './decision.ts';
import type { Incoming } from './delivery-context.ts';
import { type BrokerNames, deadLetter, eventMessage, replyMessages } from './messages.ts';

interface Handler {
  at: BrokerNames;
  filter: string;
  worker: string;
}

/** A message that cannot be read as a task: dead-lettered, and told under its id where one can be made out. */
export function decideUnreadable(
  delivery: Incoming,
  { failureType, message }: TaskFailure,
  { at, filter, worker }: Handler,
): Decision {
  const taskId = bestEffortId(delivery);
  const reason = { failure_type: failureType, failure_reason: message };
  const event: TaskEvent = {
    type: 'failed',
    taskId: taskId ?? 'unknown',
    step: 0,
    generation: 0,
    attempt: 0,
    filter,
    time: new Date().toISOString(),
    // Under the id that it claims, which may be that of a task that goes well.
    data: { outcome: 'failed', no_task: true, ...reason, worker },
  };
  return {
    messages: [
      deadLetter(at, delivery, { filter, worker, failureType, reason: message }),
      ...(taskId === undefined ? [] : [eventMessage(at, event)]),
      ...replyMessages(delivery, event),
    ],
    announcements: [],
    settlement: 'rejected',
    log: { level: 'warn', text: 'message rejected', fields: { ...reason, task: taskId } },
  };
}

/** The id of a message that is no task, as well as it can be made out. */
export function bestEffortId({ headers, properties, body }: Incoming): string | undefined {
  const given = headers[HEADERS.id] ?? properties.messageId;
  if (typeof given === 'string' && given !== '') return shortenId(given);
  return /^\s*\{[^{}[\]]*"id"\s*:\s*"([\w.-]{1,200})"/.exec(body.toString('utf8', 0, 2_000))?.[1];
}

/** Something nobody foresaw: the message is kept as a dead letter, without the headers that may be the cause. */
export function decideUnforeseen(
  delivery: Incoming,
  error: Error,
  { at, filter, worker }: Handler,
): Decision {
  const bare: Incoming = { body: delivery.body, properties: delivery.properties, headers: {} };
  const reason = `Darkroom itself failed: ${error.message}`;
  return {
    messages: [deadLetter(at, bare, { filter, worker, failureType: 'filter-failed', reason })],
    announcements: [],
    settlement: 'set-aside',
    log: { level: 'error', text: 'a task could not be settled', fields: { err: error } },
    otherwise: 'reject',
  };
}
