/** How the ledger learns what became of tasks: durable queues of its own, consumed through every restart. */
import { createHash } from 'node:crypto';
import type { Broker, Delivery } from '../../../runtime/amqp/broker.ts';
import { names } from '../../../runtime/amqp/topology.ts';
import { uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';
import type { Ledger } from './ledger.ts';

/** Travels with every message and names its entry in the ledger, even where the message cannot be read. */
export const LEDGER_HEADER = 'x-ledger';
const PREFETCH = 200;

/** An event's own part of its CloudEvent. */
export interface TaskEventBody {
  subject: string;
  type: string;
  time: string;
  data: Record<string, unknown>;
}

/** Final events, on a queue that outlives connections and brokers. */
export async function watchEvents(broker: Broker, prefix: string, ledger: Ledger): Promise<string> {
  const queue = await bindQueue(broker, prefix, names(prefix).events, ['task.completed', 'task.failed']);
  await consume(broker, queue, ({ body, redelivered }) => {
    const event = JSON.parse(body.toString()) as TaskEventBody;
    ledger.event(event.subject, event.data, redelivered);
  });
  return queue;
}

/** The final event, or the image itself with the key under which it is stored too. */
export async function watchReplies(broker: Broker, prefix: string, ledger: Ledger): Promise<string> {
  const queue = await bindQueue(broker, prefix, names(prefix).events, []);
  await consume(broker, queue, ({ body, headers, properties, redelivered }) => {
    const isImage = headers['darkroom-output'] !== undefined;
    const sha256 = createHash('sha256').update(body).digest('hex');
    const data = isImage
      ? { outcome: 'completed', output: { key: headers['darkroom-output'], sha256 } }
      : (JSON.parse(body.toString()) as TaskEventBody).data;
    ledger.event(properties.correlationId, { outcome: 'failed', ...data }, redelivered);
  });
  return queue;
}

export async function watchLetters(broker: Broker, prefix: string, ledger: Ledger): Promise<void> {
  await consume(broker, names(prefix).dead, ({ headers, properties, redelivered }) => {
    const id = headers[LEDGER_HEADER] ?? properties.correlationId ?? headers['darkroom-id'];
    ledger.letter(String(id), letterOf(headers), redelivered);
  });
}

export async function bindQueue(
  broker: Broker,
  prefix: string,
  exchange: string,
  keys: string[],
): Promise<string> {
  const queue = uniqueName(`${prefix}-seen`);
  await broker.withChannel(async (channel) => {
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    for (const key of keys) await channel.bindQueue(queue, exchange, key);
  });
  return queue;
}

export async function consume(
  broker: Broker,
  queue: string,
  take: (delivery: Delivery) => void,
): Promise<void> {
  const consumer = broker.consume(
    queue,
    (delivery) => {
      take(delivery);
      delivery.ack();
    },
    { prefetch: PREFETCH },
  );
  await until(() => consumer.consuming, `a consumer of ${queue}`);
}

function letterOf(headers: Record<string, unknown>) {
  const [death] = Array.isArray(headers['x-death']) ? (headers['x-death'] as Record<string, unknown>[]) : [];
  return {
    failureType: String(headers['darkroom-failure-type'] ?? death?.reason ?? 'unroutable'),
    reason: String(headers['darkroom-failure-reason'] ?? `set aside by the broker: ${death?.reason}`),
    filter: String(headers['darkroom-filter'] ?? ''),
  };
}
