/** Reads one dead letter: which task it was, where it failed and why. A letter is outside data; reading one never fails. */

import { names } from '../amqp/topology.ts';
import { asError } from '../errors.ts';
import { capText } from '../redact.ts';
import { HEADERS, type Hop, parseHop, withoutHopHeaders } from '../task/hop.ts';
import { parseTask, type Task } from '../task/task.ts';
import { bestEffortId } from '../worker/decide-unreadable.ts';
import type { GotMessage } from './browse-queue.ts';

export interface DeadLetter {
  /** The task's id where the message could be read, else its message id. */
  id: string;
  message_id: string | null;
  filter: string;
  failure_type: string;
  reason: string;
  step: number;
  attempts: number;
  failed_at: string | null;
  first_failed_at: string | null;
  worker: string | null;
  content_type: string | null;
  bytes: number;
  generation: number;
  replayed_from: string | null;
  /** Who sent it, as the broker has checked; null when it does not say. */
  user: string | null;
  /** Whether that is a user of the installation. Else what it says of its failure is shown, and nothing is done by it. */
  believed: boolean;
  /** Whether a worker that could read the task set it aside. Such a worker has marked the task as failed before. */
  of_worker: boolean;
}

export type IsOurUser = (user: string) => boolean;

/** Why it is dead, and what queue it was for. */
interface Cause {
  filter: string;
  failureType: string;
  reason: string;
  time: string | null;
}

export const NO_ID = '(none)';
const MAX_NAME_CHARACTERS = 300;
const MAX_ATTEMPTS = 1_000_000;
/** The year 2286: some later times are none that a date can hold. */
const MAX_EPOCH_SECONDS = 1e10;

/** Why RabbitMQ dead-letters: https://www.rabbitmq.com/docs/dlx#effects */
const BROKER_REASONS: Record<string, string> = {
  delivery_limit:
    'It was delivered more often than the queue’s delivery limit allows: every worker that took it died or lost the broker.',
  expired: 'It expired: its publisher gave it a time to live, and no worker took it in time.',
  maxlen: 'The queue had reached its maximum length.',
  rejected: 'A consumer other than Darkroom’s rejected it.',
};

/** @param prefix what queue names start with */
export function parseDeadLetter(
  message: GotMessage,
  prefix: string,
  isOurUser: IsOurUser = () => false,
): DeadLetter {
  const { body, properties, fields } = message;
  const headers = headersOf(message);
  const user = textOf(properties.userId) ?? null;
  const believed = user !== null && isOurUser(user);
  const said = saidCause(headers, fields.routingKey);
  const cause = brokerCause(message, prefix) ?? said ?? unroutable(fields.routingKey);
  const told = believed || cause === said ? headers : {};
  const hop = parseHop(told, {}, Date.now());
  return {
    id: idOf(message, cause.filter, believed),
    message_id: textOf(properties.messageId) ?? null,
    filter: cause.filter,
    failure_type: cause.failureType,
    reason: cause.reason,
    step: hop.step,
    attempts: attemptsOf(told['darkroom-attempts']),
    failed_at: cause.time,
    first_failed_at: hop.firstFailedMs === null ? null : new Date(hop.firstFailedMs).toISOString(),
    worker: nameOf(told['darkroom-worker']) ?? null,
    content_type: textOf(properties.contentType) ?? null,
    bytes: body.length,
    generation: hop.generation,
    replayed_from: nameOf(told['darkroom-replayed-from']) ?? null,
    user,
    believed,
    of_worker: cause === said && HEADERS.fingerprint in headers,
  };
}

/** A letter that defeats {@link parseDeadLetter} is still a letter. */
export function unreadableLetter({ body, fields }: GotMessage, error: unknown): DeadLetter {
  return {
    id: NO_ID,
    message_id: null,
    filter: fields.routingKey,
    failure_type: 'unreadable',
    reason: `This letter cannot be read: ${asError(error).message}`,
    step: 0,
    attempts: 0,
    failed_at: null,
    first_failed_at: null,
    worker: null,
    content_type: null,
    bytes: body.length,
    generation: 0,
    replayed_from: null,
    user: null,
    believed: false,
    of_worker: false,
  };
}

/**
 * The task in a letter, and where it stands: from a letter that is not believed, as a new task.
 * @throws Rejection when it is none
 */
export function taskOf(
  message: GotMessage,
  { filter, believed }: Pick<DeadLetter, 'filter' | 'believed'>,
): { task: Task; hop: Hop } {
  const { body, properties } = message;
  const all = headersOf(message);
  const headers = believed ? all : withoutHopHeaders(all);
  const messageId = textOf(properties.messageId) ?? NO_ID;
  return parseTask({ body, properties: { ...properties, messageId }, headers }, filter);
}

/** As the worker would call it. What a header claims that is not believed comes last: here it is only a name. */
function idOf(message: GotMessage, filter: string, believed: boolean): string {
  const headers = headersOf(message);
  const id = idOfTask(message, filter, believed);
  if (id !== NO_ID) return id;
  const { body, properties } = message;
  return bestEffortId({ body, properties, headers: {} }) ?? nameOf(headers[HEADERS.id]) ?? NO_ID;
}

function idOfTask(message: GotMessage, filter: string, believed: boolean): string {
  try {
    return taskOf(message, { filter, believed }).task.id;
  } catch {
    return (believed && nameOf(headersOf(message)[HEADERS.id])) || NO_ID;
  }
}

/** What the broker tells: it set the message aside itself, or found no queue for it. Nobody else can say that here. */
function brokerCause(message: GotMessage, prefix: string): Cause | undefined {
  const { exchange, routingKey } = message.fields;
  // From the alternate exchange a message comes with the name of the exchange that it was published to.
  if (exchange === names(prefix).exchange) return unroutable(routingKey);
  const deaths = headersOf(message)['x-death'];
  const death: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  if (!isTable(death)) return undefined;
  const queue = textOf(death.queue) ?? routingKey;
  const why = textOf(death.reason) ?? 'it does not say why';
  const time = isTable(death.time) ? death.time.value : undefined;
  return {
    filter: queue.startsWith(`${prefix}.`) ? queue.slice(prefix.length + 1) : queue,
    failureType: why === 'delivery_limit' ? 'poison' : capText(why, MAX_NAME_CHARACTERS),
    reason: Object.hasOwn(BROKER_REASONS, why)
      ? BROKER_REASONS[why]!
      : `The broker set it aside: ${capText(why, MAX_NAME_CHARACTERS)}.`,
    time: isoTime(time),
  };
}

/** What a worker wrote into the letter, or whoever passes for one. */
function saidCause(headers: Record<string, unknown>, routingKey: string): Cause | undefined {
  const failureType = nameOf(headers['darkroom-failure-type']);
  if (failureType === undefined) return undefined;
  const failedAt = textOf(headers['darkroom-failed-at']);
  return {
    filter: nameOf(headers['darkroom-filter']) ?? routingKey,
    failureType,
    reason: capText(textOf(headers['darkroom-failure-reason']) ?? 'It does not say why.'),
    time: failedAt === undefined || Number.isNaN(Date.parse(failedAt)) ? null : capText(failedAt, 40),
  };
}

function unroutable(routingKey: string): Cause {
  const reason = `No queue takes messages with the routing key "${routingKey}". Is there such a filter, and are its queues declared?`;
  return { filter: routingKey, time: null, failureType: 'unroutable', reason };
}

function headersOf({ properties }: GotMessage): Record<string, unknown> {
  return isTable(properties.headers) ? properties.headers : {};
}

function attemptsOf(header: unknown): number {
  const isCount = typeof header === 'number' && Number.isInteger(header) && header >= 0;
  return isCount && header <= MAX_ATTEMPTS ? header : 0;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function nameOf(value: unknown): string | undefined {
  const text = textOf(value);
  return text && capText(text, MAX_NAME_CHARACTERS);
}

/** @param epochSeconds as AMQP's timestamps are */
function isoTime(epochSeconds: unknown): string | null {
  const isTime = typeof epochSeconds === 'number' && epochSeconds >= 0 && epochSeconds <= MAX_EPOCH_SECONDS;
  return isTime ? new Date(epochSeconds * 1_000).toISOString() : null;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
