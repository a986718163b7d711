/** A broker in memory: queues with redelivery, retry queues, dead letters and final events; and its connections. */
import type { Channel, ConsumeMessage } from 'amqplib';
import {
  type Broker,
  type Delivery,
  type OutgoingMessage,
  PublishUnknown,
} from '../../../runtime/amqp/broker.ts';
import { ChannelDelivery, type DeliveryChannel } from '../../../runtime/amqp/consumer.ts';
import { names } from '../../../runtime/amqp/topology.ts';
import { beginLife, type Life, type Turns } from './virtual-time.ts';

export const PREFIX = 'model';
const AT = names(PREFIX);

interface Message {
  body: Buffer;
  properties: OutgoingMessage['properties'];
  deliveries: number;
}

export interface Rabbit {
  queues: Map<string, Message[]>;
  /** Messages in retry queues, with the key by which they come back. */
  waiting: { message: Message; key: string }[];
  dead: Message[];
  events: { type: string; taskId: string; data: Record<string, unknown> }[];
  publish(message: OutgoingMessage): void;
}

export function createRabbit(): Rabbit {
  const rabbit: Rabbit = { queues: new Map(), waiting: [], dead: [], events: [], publish };
  return rabbit;

  function publish({ exchange, routingKey, body, properties }: OutgoingMessage): void {
    const message = { body, properties, deliveries: 0 };
    if (exchange === AT.events) rabbit.events.push(eventOf(routingKey, body));
    else if (exchange === AT.dead) rabbit.dead.push(message);
    else if (exchange.startsWith(`${PREFIX}.retry.`))
      rabbit.waiting.push({ message, key: AT.queue(routingKey) });
    else queueOf(rabbit, exchange === '' ? routingKey : AT.queue(routingKey)).push(message);
  }
}

function eventOf(routingKey: string, body: Buffer) {
  const { subject, data } = JSON.parse(body.toString()) as { subject: string; data: Record<string, unknown> };
  return { type: routingKey, taskId: subject, data };
}

function queueOf({ queues }: Rabbit, name: string): Message[] {
  const queue = queues.get(name) ?? [];
  queues.set(name, queue);
  return queue;
}

/** One worker's connections. */
export interface Connection {
  broker: Broker;
  readonly canTake: boolean;
  /** Hands the first message of its queue to the worker. */
  deliver(): void;
  /** The consume connection is lost: what was in hand goes back to the queue. */
  loseConsume(): void;
  /** The publish connection is lost: nobody knows what became of what was on its way. */
  losePublish(): void;
}

export function connect(rabbit: Rabbit, turns: Turns, process: Life): Connection {
  let queue: Message[] = [];
  let onDelivery: (delivery: Delivery) => void = () => {};
  let consuming = false;
  let channel = beginLife();
  let publishing = beginLife();
  let inHand: { message: Message; settling: DeliveryChannel } | undefined;
  process.atEnd(() => {
    loseConsume();
    losePublish();
  });

  function loseConsume(): void {
    channel.end();
    channel = beginLife();
    if (inHand === undefined) return;
    inHand.settling.open = false;
    requeue(inHand.message);
  }

  function losePublish(): void {
    publishing.end();
    publishing = beginLife();
  }

  function requeue(message: Message): void {
    message.deliveries++;
    queue.unshift(message);
    inHand = undefined;
  }

  /** The broker hears it only if the channel lives until then. */
  function settle(happen: (message: Message) => void): void {
    const { message } = inHand!;
    turns.later(channel, () => {
      if (inHand?.message === message) happen(message);
    });
  }

  function deliver(): void {
    const message = queue.shift()!;
    const acks = {
      ack: () => settle(() => (inHand = undefined)),
      nack: () => settle(requeue),
      reject: () => settle(requeue),
    };
    const settling: DeliveryChannel = { channel: acks as unknown as Channel, open: true };
    inHand = { message, settling };
    onDelivery(new ChannelDelivery(settling, consumed(message)));
  }

  /** Stored, and then confirmed: each may be prevented by the end of the connection or of the process. */
  async function publish(message: OutgoingMessage): Promise<void> {
    const connection = publishing;
    const lost = new Promise<never>((_, reject) =>
      connection.atEnd(() => {
        if (!process.over) reject(new PublishUnknown('sent, but not confirmed: connection lost'));
      }),
    );
    lost.catch(() => {});
    const sent = { ...message, properties: { userId: PREFIX, ...message.properties } };
    await Promise.race([turns.take(connection, () => rabbit.publish(sent)), lost]);
    await Promise.race([turns.take(connection, () => {}), lost]);
  }

  function stop(): void {
    consuming = false;
  }

  const broker = {
    consume(name: string, take: (delivery: Delivery) => void) {
      queue = queueOf(rabbit, name);
      onDelivery = take;
      consuming = true;
      return { consuming: true, cancel: async () => stop(), close: async () => {} };
    },
    publish,
    publishLater() {},
    state: {
      consume: 'connected',
      publish: 'connected',
      user: PREFIX,
      blocked: undefined,
      lastError: undefined,
      since: 0,
    },
  };
  return {
    broker: broker as unknown as Broker,
    get canTake() {
      return consuming && !process.over && inHand === undefined && queue.length > 0;
    },
    deliver,
    loseConsume,
    losePublish,
  };
}

function consumed({ body, properties, deliveries }: Message): ConsumeMessage {
  const headers = { ...properties?.headers, ...(deliveries > 0 && { 'x-delivery-count': deliveries }) };
  return {
    content: body,
    properties: { ...properties, headers },
    fields: { redelivered: deliveries > 0, routingKey: '', exchange: '', deliveryTag: 1, consumerTag: '' },
  } as unknown as ConsumeMessage;
}
