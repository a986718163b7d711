/** Makes the messages that follow a delivery: next steps, retries, copies, dead letters, events and replies. */
import type { PublishProperties, PublishRequest } from '../amqp/broker.ts';
import type { names } from '../amqp/topology.ts';
import { capText } from '../redact.ts';
import { EVENT_CONTENT_TYPE, encodeEvent, eventId, type TaskEvent } from '../task/events.ts';
import { DOUBTS_HEADER, type Hop, hopHeaders } from '../task/hop.ts';
import { type Task, taskBody } from '../task/task.ts';
import type { DeliveryContext, Incoming } from './delivery-context.ts';
import type { ReplyImage } from './protocol.ts';

/** What a message is for: the settler treats a refused one by this. */
export type Purpose = 'step' | 'retry' | 'copy' | 'letter' | 'event' | 'reply';

export interface Message extends PublishRequest {
  purpose: Purpose;
  /** What is sent where the broker cannot take this one, such as a smaller message. */
  instead?: Message;
}

/** Names on the broker. */
export type BrokerNames = ReturnType<typeof names>;

/** Header tables stay far below the 64 KiB that AMQP frames hold. */
const MAX_REASON_CHARACTERS = 2_000;

/** Headers that a broker or sender means for one hop only. Carried along they would mislead the next one. */
const HOP_BY_HOP =
  /^(x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|x-acquired-count|x-opt-.*|CC|BCC)$/i;

/** Why a message was set aside, as it stands in the dead letter's headers. */
export interface DeathNote {
  filter: string;
  worker: string;
  failureType: string;
  reason: string;
  /** Known only when the message could be read. */
  task?: Task;
  hop?: Hop;
}

/** The task's next hop, straight to the queue of the filter that is due. */
export function stepMessage(at: BrokerNames, context: DeliveryContext, hop: Hop): Message {
  const { filter } = context.task.steps[hop.step]!;
  return toQueue('step', at.queue(filter), taskMessage(context, hop));
}

/** The task again after a delay, which waits in the broker. @param jitter 0 to 1: up to a quarter earlier */
export function retryMessage(
  at: BrokerNames,
  context: DeliveryContext,
  hop: Hop,
  delayMs: number,
  jitter: number,
): Message {
  const { body, properties } = taskMessage(context, hop);
  const expiration = String(Math.round(delayMs * (1 - 0.25 * jitter)));
  return {
    purpose: 'retry',
    exchange: at.retry(delayMs),
    routingKey: context.filter,
    mandatory: true,
    body,
    properties: { ...properties, expiration },
  };
}

/** The task again at once, to the queue that it came from. */
export function againMessage(at: BrokerNames, context: DeliveryContext, hop: Hop): Message {
  return toQueue('copy', at.queue(context.filter), taskMessage(context, hop));
}

/** The same message again, to a queue of ours. */
export function copyMessage(at: BrokerNames, incoming: Incoming, filter: string): Message {
  return toQueue('copy', at.queue(filter), { body: incoming.body, properties: carriedProperties(incoming) });
}

export function deadLetter(at: BrokerNames, incoming: Incoming, note: DeathNote): Message {
  const { task, hop } = note;
  const headers = {
    ...carriedHeaders(incoming),
    ...(task !== undefined && hop !== undefined && hopHeaders(task, hop)),
    'darkroom-filter': note.filter,
    'darkroom-failure-type': note.failureType,
    'darkroom-failure-reason': capText(note.reason, MAX_REASON_CHARACTERS),
    'darkroom-failed-at': new Date().toISOString(),
    'darkroom-attempts': (hop?.attempt ?? 0) + 1,
    'darkroom-worker': note.worker,
  };
  return {
    purpose: 'letter',
    exchange: at.dead,
    routingKey: note.filter,
    mandatory: true,
    body: incoming.body,
    properties: { ...carriedProperties(incoming), headers },
  };
}

export function eventMessage(at: BrokerNames, event: TaskEvent): Message {
  return {
    purpose: 'event',
    exchange: at.events,
    routingKey: `task.${event.type}`,
    body: encodeEvent(event),
    properties: eventProperties(event),
  };
}

/** The final event, or the image itself for an image that came inside its message; nothing without `reply_to`. */
export function replyMessages(
  { properties: asked }: Incoming,
  event: TaskEvent,
  image?: ReplyImage,
): Message[] {
  const { replyTo, correlationId } = asked;
  if (!replyTo) return [];
  const base = { purpose: 'reply' as const, exchange: '', routingKey: String(replyTo) };
  const properties = { ...eventProperties(event), correlationId };
  const told: Message = { ...base, body: encodeEvent(event), properties };
  if (image === undefined) return [told];
  const output = event.data.output as { key?: string } | undefined;
  const headers = { 'darkroom-id': event.taskId, 'darkroom-output': output?.key };
  return [
    {
      ...base,
      body: image.bytes,
      properties: { ...properties, contentType: image.contentType, headers },
      instead: told,
    },
  ];
}

/** Past the exchange, so that `mandatory` finds a missing queue; through it the task would go to the dead letters. */
function toQueue(
  purpose: Purpose,
  queue: string,
  message: { body: Buffer; properties: PublishProperties },
): Message {
  return { purpose, exchange: '', routingKey: queue, mandatory: true, ...message };
}

function taskMessage(
  { delivery, task, traceparent }: DeliveryContext,
  hop: Hop,
): { body: Buffer; properties: PublishProperties } {
  const wasInline = hop.inline && hop.step > 0;
  const holdsImage = delivery.properties.contentType?.startsWith('image/') === true;
  return {
    body: wasInline && holdsImage ? taskBody(task) : delivery.body,
    properties: {
      ...carriedProperties(delivery),
      contentType: wasInline ? 'application/json' : (delivery.properties.contentType ?? 'application/json'),
      messageId: `${task.id}:${hop.step}${hop.generation > 0 ? `:g${hop.generation}` : ''}`,
      headers: {
        ...carriedHeaders(delivery),
        ...(traceparent !== undefined && { traceparent }),
        ...hopHeaders(task, hop),
      },
    },
  };
}

/** What goes from a message to the ones that follow it. */
export function carriedProperties(incoming: Incoming): PublishProperties {
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
  } = incoming.properties;
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
    headers: carriedHeaders(incoming),
  };
}

function carriedHeaders({ headers, doubts = 0 }: Incoming): Record<string, unknown> {
  const carried = Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.test(name)));
  return { ...carried, ...(doubts > 0 && { [DOUBTS_HEADER]: doubts }) };
}

function eventProperties(event: TaskEvent): PublishProperties {
  return {
    contentType: EVENT_CONTENT_TYPE,
    messageId: eventId(event),
    persistent: true,
    timestamp: Math.floor(Date.now() / 1_000),
  };
}
