/** What a worker publishes: next steps, retries, forwards, dead letters, events and replies, with their headers. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Broker,
  type Delivery,
  type PublishProperties,
  PublishRefused,
  type PublishRequest,
  Unroutable,
} from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import { redactText } from '../redact.ts';
import { EVENT_CONTENT_TYPE, encodeEvent, eventId, type TaskEvent } from '../task/events.ts';
import { type Hop, hopHeaders, type Task, taskBody } from '../task/task.ts';
import { failpoint } from './failpoint.ts';
import type { ReplyImage } from './protocol.ts';

const REPUBLISH_DELAY_MS = 250;
/** Header tables stay far below the 64 KiB that AMQP frames hold. */
const MAX_REASON_CHARACTERS = 2_000;

/** Headers that a broker or sender means for one hop only. Carried along they would mislead the next one. */
const HOP_BY_HOP =
  /^(x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|x-acquired-count|x-opt-.*|CC|BCC)$/i;

/** Why and when a message was set aside, as it stands in the dead letter's headers. */
export interface DeathNote {
  filter: string;
  failureType: string;
  reason: string;
  worker: string;
  /** Known only when the message could be read. */
  task?: Task;
  hop?: Hop;
  traceparent?: string | undefined;
}

/** What of a delivery its messages are made from. */
export type Incoming = Pick<Delivery, 'body' | 'properties' | 'headers'>;

export interface Outbox {
  /** Sends `message` until it is confirmed. @returns false when the delivery was taken back meanwhile. */
  surely(delivery: Delivery, ...messages: PublishRequest[]): Promise<boolean>;
  event(event: TaskEvent): PublishRequest;
  eventLater(event: TaskEvent): void;
  toStep(delivery: Incoming, task: Task, hop: Hop, filter: string): PublishRequest;
  toRetry(delivery: Incoming, task: Task, hop: Hop, filter: string, delayMs: number): PublishRequest;
  /** The same message again, to a queue of ours. */
  again(delivery: Incoming, filter: string): PublishRequest;
  toDead(delivery: Incoming, note: DeathNote): PublishRequest;
  reply(delivery: Incoming, event: TaskEvent, image?: ReplyImage): PublishRequest[];
}

export function createOutbox(broker: Broker, prefix: string): Outbox {
  const at = names(prefix);

  const outbox: Outbox = {
    async surely(delivery, ...messages) {
      const sent = await Promise.all(messages.map((message) => publishUntilConfirmed(delivery, message)));
      return sent.every(Boolean);
    },
    event: (event) => ({
      exchange: at.events,
      routingKey: `task.${event.type}`,
      body: encodeEvent(event),
      properties: eventProperties(event),
    }),
    eventLater: (event) => broker.publishLater(outbox.event(event)),
    toStep: (delivery, task, hop, filter) => toQueue(at.queue(filter), taskMessage(delivery, task, hop)),
    toRetry: (delivery, task, hop, filter, delayMs) => {
      const message = taskMessage(delivery, task, hop);
      // Jitter: up to a quarter earlier than the queue's own time to live.
      const expiration = String(Math.round(delayMs * (0.75 + 0.25 * Math.random())));
      return {
        exchange: at.retry(delayMs),
        routingKey: filter,
        mandatory: true,
        body: message.body,
        properties: { ...message.properties, expiration },
      };
    },
    again: (delivery, filter) =>
      toQueue(at.queue(filter), { body: delivery.body, properties: carried(delivery) }),
    toDead: (delivery, note) => ({
      exchange: at.dead,
      routingKey: note.filter,
      mandatory: true,
      body: delivery.body,
      properties: deadProperties(delivery, note),
    }),
    reply: (delivery, event, image) =>
      delivery.properties.replyTo ? [replyMessage(delivery, event, image)] : [],
  };
  return outbox;

  async function publishUntilConfirmed(delivery: Delivery, message: PublishRequest): Promise<boolean> {
    failpoint('publishing');
    while (delivery.alive) {
      try {
        const confirmed = broker.publish(message);
        failpoint('sent');
        await confirmed;
        return true;
      } catch (error) {
        // No confirmation means no certainty: publish again. A repeat is harmless.
        if (!isBrokerTrouble(error)) throw error;
        await sleep(REPUBLISH_DELAY_MS);
      }
    }
    return false;
  }
}

/** Whether sending the same message again can help: not one that cannot be encoded or that the broker finds too large. */
function isBrokerTrouble(error: unknown): boolean {
  if (error instanceof RangeError || error instanceof TypeError || error instanceof Unroutable) return false;
  // A missing exchange (404) or right (403) is the installation's fault: it can be mended while the task waits.
  const code =
    error instanceof PublishRefused ? (error.cause as { code?: number } | undefined)?.code : undefined;
  return !(error instanceof PublishRefused) || code === 404 || code === 403;
}

/** Straight to the queue, so that `mandatory` finds a missing one; through the exchange it would go to the dead letters. */
function toQueue(queue: string, message: { body: Buffer; properties: PublishProperties }): PublishRequest {
  return { exchange: '', routingKey: queue, mandatory: true, ...message };
}

function taskMessage(
  delivery: Incoming,
  task: Task,
  hop: Hop,
): { body: Buffer; properties: PublishProperties } {
  const image = hop.inline && hop.step > 0;
  const original = delivery.properties.contentType?.startsWith('image/') === true;
  return {
    body: image && original ? taskBody(task) : delivery.body,
    properties: {
      ...carried(delivery),
      contentType: image ? 'application/json' : (delivery.properties.contentType ?? 'application/json'),
      messageId: `${task.id}:${hop.step}${hop.generation > 0 ? `:g${hop.generation}` : ''}`,
      headers: { ...carriedHeaders(delivery), ...hopHeaders(task, hop) },
    },
  };
}

function carried(delivery: Incoming): PublishProperties {
  const {
    contentType,
    contentEncoding,
    correlationId,
    replyTo,
    priority,
    messageId,
    type,
    appId,
    timestamp,
  } = delivery.properties;
  return {
    contentType,
    contentEncoding,
    correlationId,
    replyTo,
    priority,
    messageId,
    type,
    appId,
    timestamp,
    persistent: true,
    headers: carriedHeaders(delivery),
  };
}

function carriedHeaders(delivery: Incoming): Record<string, unknown> {
  return Object.fromEntries(Object.entries(delivery.headers).filter(([name]) => !HOP_BY_HOP.test(name)));
}

function eventProperties(event: TaskEvent): PublishProperties {
  return {
    contentType: EVENT_CONTENT_TYPE,
    messageId: eventId(event),
    persistent: true,
    timestamp: seconds(),
  };
}

function deadProperties(delivery: Incoming, note: DeathNote): PublishProperties {
  const { task, hop } = note;
  return {
    ...carried(delivery),
    headers: {
      ...carriedHeaders(delivery),
      ...(task !== undefined && hop !== undefined && hopHeaders(task, hop)),
      'darkroom-filter': note.filter,
      'darkroom-failure-type': note.failureType,
      'darkroom-failure-reason': redactText(note.reason).slice(0, MAX_REASON_CHARACTERS),
      'darkroom-failed-at': new Date().toISOString(),
      'darkroom-attempts': (hop?.attempt ?? 0) + 1,
      'darkroom-worker': note.worker,
    },
  };
}

/** The final event, or the image itself for an image that came inside its message. */
function replyMessage(delivery: Incoming, event: TaskEvent, image?: ReplyImage): PublishRequest {
  const { replyTo, correlationId } = delivery.properties;
  const base = { exchange: '', routingKey: String(replyTo) };
  const properties = { ...eventProperties(event), correlationId };
  if (image === undefined) return { ...base, body: encodeEvent(event), properties };
  const output = event.data.output as { key?: string } | undefined;
  return {
    ...base,
    body: image.bytes,
    properties: {
      ...properties,
      contentType: image.contentType,
      headers: { 'darkroom-id': event.taskId, 'darkroom-output': output?.key },
    },
  };
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}
