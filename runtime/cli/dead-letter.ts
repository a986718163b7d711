/** Reads one dead letter: which task it was, where it failed and why. A letter is data from outside. */
import type { GotMessage } from '../amqp/browse-queue.ts';
import { HEADERS } from '../task/hop.ts';

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

/** What is known of a letter that the broker, not a worker, set aside. */
interface BrokerVerdict {
  filter: string;
  failureType: string;
  reason: string;
  time: string | null;
}

/** Why RabbitMQ dead-letters: https://www.rabbitmq.com/docs/dlx#effects */
const BROKER_REASONS: Record<string, string> = {
  delivery_limit:
    'It was delivered more often than the queue’s delivery limit allows: every worker that took it died or lost the broker.',
  expired: 'It expired: its publisher gave it a time to live, and no worker took it in time.',
  maxlen: 'The queue had reached its maximum length.',
  rejected: 'A consumer other than Darkroom’s rejected it.',
};

/** @param prefix what queue names start with */
export function parseDeadLetter({ body, properties, fields }: GotMessage, prefix: string): DeadLetter {
  const headers = (properties.headers ?? {}) as Record<string, unknown>;
  const verdict = brokerVerdict(headers, fields.routingKey, prefix);
  return {
    id: String(headers[HEADERS.id] ?? properties.messageId ?? '(none)'),
    filter: textOf(headers['darkroom-filter']) ?? verdict.filter,
    failure_type: textOf(headers['darkroom-failure-type']) ?? verdict.failureType,
    reason: textOf(headers['darkroom-failure-reason']) ?? verdict.reason,
    step: Number(headers[HEADERS.step] ?? 0),
    attempts: Number(headers['darkroom-attempts'] ?? 0),
    failed_at: textOf(headers['darkroom-failed-at']) ?? verdict.time,
    first_failed_at: isoTime(headers[HEADERS.firstFailed]),
    worker: textOf(headers['darkroom-worker']) ?? null,
    content_type: properties.contentType ?? null,
    bytes: body.length,
    generation: Number(headers[HEADERS.generation] ?? 0),
    replayed_from: textOf(headers['darkroom-replayed-from']) ?? null,
  };
}

function brokerVerdict(headers: Record<string, unknown>, routingKey: string, prefix: string): BrokerVerdict {
  const [death] = Array.isArray(headers['x-death']) ? (headers['x-death'] as Record<string, unknown>[]) : [];
  const queue = textOf(death?.queue) ?? routingKey;
  const filter = queue.startsWith(`${prefix}.`) ? queue.slice(prefix.length + 1) : queue;
  const time = isoTime(((death?.time as { value?: unknown } | undefined)?.value as number) * 1_000);
  if (death === undefined) {
    const reason = `No queue takes messages with the routing key "${routingKey}". Is there such a filter, and are its queues declared?`;
    return { filter, time, failureType: 'unroutable', reason };
  }
  const why = String(death.reason);
  return {
    filter,
    time,
    failureType: why === 'delivery_limit' ? 'poison' : why,
    reason: BROKER_REASONS[why] ?? `The broker set it aside: ${why}.`,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isoTime(epochMs: unknown): string | null {
  return typeof epochMs === 'number' && Number.isFinite(epochMs) ? new Date(epochMs).toISOString() : null;
}
