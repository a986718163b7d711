/** Reads the dead letter queue: looks at messages without taking them, and settles the ones a command chose. */
import type { Broker } from '../amqp/broker.ts';
import { browseQueue, type GotMessage } from '../amqp/browse-queue.ts';
import { names } from '../amqp/topology.ts';
import { UserError } from '../errors.ts';
import { HEADERS } from '../task/task.ts';
import { parseDuration } from '../units.ts';

export interface DeadLetter {
  /** The task's id where the message could be read, else its message id. */
  id: string;
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
}

export interface Selection {
  filter?: string;
  reason?: string;
  id?: string;
  olderThan?: string;
  newerThan?: string;
  limit?: number;
}

/** What to do with a chosen message; `true` takes it out of the queue. */
export type Settle = (letter: DeadLetter, message: GotMessage) => Promise<boolean>;

/**
 * Goes once through the queue. Messages that `settle` does not take, and all that were not chosen, stay.
 * @returns the chosen letters
 */
export async function eachDeadLetter(
  broker: Broker,
  prefix: string,
  selection: Selection,
  settle: Settle = async () => false,
): Promise<DeadLetter[]> {
  const chosen: DeadLetter[] = [];
  const matches = matcher(selection);
  const limit = selection.limit ?? Number.POSITIVE_INFINITY;
  await browseQueue(broker, names(prefix).dead, async (message) => {
    const letter = describe(message, prefix);
    if (!matches(letter)) return 'keep';
    chosen.push(letter);
    const taken = await settle(letter, message);
    if (chosen.length >= limit) return taken ? 'take-and-stop' : 'stop';
    return taken ? 'take' : 'keep';
  });
  return chosen;
}

function matcher(selection: Selection): (letter: DeadLetter) => boolean {
  const now = Date.now();
  const olderMs = durationOf('--older-than', selection.olderThan);
  const newerMs = durationOf('--newer-than', selection.newerThan);
  const wanted = selection.reason?.toLowerCase();
  return (letter) => {
    const ageMs = letter.failed_at === null ? Number.NaN : now - Date.parse(letter.failed_at);
    if (selection.id !== undefined && letter.id !== selection.id) return false;
    if (selection.filter !== undefined && letter.filter !== selection.filter) return false;
    if (
      wanted !== undefined &&
      letter.failure_type !== wanted &&
      !letter.reason.toLowerCase().includes(wanted)
    )
      return false;
    if (olderMs !== undefined && !(ageMs >= olderMs)) return false;
    return newerMs === undefined || ageMs <= newerMs;
  };
}

function durationOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new UserError(`${option}: expected a duration such as 30m, 12h or 7d, got "${text}".`);
  return ms;
}

function describe({ body, properties, fields }: GotMessage, prefix: string): DeadLetter {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const death = brokerDeath(headers, fields.routingKey, prefix);
  return {
    id: String(headers[HEADERS.id] ?? properties.messageId ?? '(none)'),
    filter: text(headers['darkroom-filter']) ?? death.filter,
    failure_type: text(headers['darkroom-failure-type']) ?? death.failureType,
    reason: text(headers['darkroom-failure-reason']) ?? death.reason,
    step: Number(headers[HEADERS.step] ?? 0),
    attempts: Number(headers['darkroom-attempts'] ?? 0),
    failed_at: text(headers['darkroom-failed-at']) ?? death.time,
    first_failed_at: isoTime(headers[HEADERS.firstFailed]),
    worker: text(headers['darkroom-worker']) ?? null,
    content_type: properties.contentType ?? null,
    bytes: body.length,
    generation: Number(headers[HEADERS.generation] ?? 0),
    replayed_from: text(headers['darkroom-replayed-from']) ?? null,
  };
}

/** What the broker itself says of a message that no worker set aside. */
function brokerDeath(headers: Record<string, unknown>, routingKey: string, prefix: string) {
  const [death] = Array.isArray(headers['x-death']) ? (headers['x-death'] as Record<string, unknown>[]) : [];
  const queue = text(death?.queue) ?? routingKey;
  const filter = queue.startsWith(`${prefix}.`) ? queue.slice(prefix.length + 1) : queue;
  const time = isoTime(((death?.time as { value?: unknown } | undefined)?.value as number) * 1_000);
  if (death === undefined)
    return {
      filter,
      time,
      failureType: 'unroutable',
      reason: `No queue takes messages with the routing key "${routingKey}". Is there such a filter, and are its queues declared?`,
    };
  const words: Record<string, string> = {
    delivery_limit:
      'It was delivered more often than the queue’s delivery limit allows: every worker that took it died or lost the broker.',
    expired: 'It expired: its publisher gave it a time to live, and no worker took it in time.',
    maxlen: 'The queue had reached its maximum length.',
    rejected: 'A consumer other than Darkroom’s rejected it.',
  };
  const why = String(death.reason);
  return {
    filter,
    time,
    failureType: why === 'delivery_limit' ? 'poison' : why,
    reason: words[why] ?? `The broker set it aside: ${why}.`,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isoTime(epochMs: unknown): string | null {
  return typeof epochMs === 'number' && Number.isFinite(epochMs) ? new Date(epochMs).toISOString() : null;
}
