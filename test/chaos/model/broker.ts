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
    if (exchange === AT.events) rabbit.events.push(parseEvent(routingKey, body));
    else if (exchange === AT.dead) rabbit.dead.push(message);
    else if (exchange.startsWith(`${PREFIX}.retry.`))
      rabbit.waiting.push({ message, key: AT.queue(routingKey) });
    else queueOf(rabbit, exchange === '' ? routingKey : AT.queue(routingKey)).push(message);
  }
}

function parseEvent(routingKey: string, body: Buffer) {
  const { subject, data } = JSON.parse(body.toString()) as { subject: string; data: Record<string, unknown> };
  return { type: routingKey, taskId: subject, data };
}

function queueOf({ queues }: Rabbit, name: string): Message[] {
  const queue = queues.get(name) ?? [];
  queues.set(name, queue);
  return queue;
}

/** One worker's connections. */
export class ModelConnection {
  readonly broker: Broker;
  readonly #rabbit: Rabbit;
  readonly #turns: Turns;
  readonly #process: Life;
  #queue: Message[] = [];
  #onDelivery: (delivery: Delivery) => void = () => {};
  #consuming = false;
  #channel = beginLife();
  #publishing = beginLife();
  #inHand: { message: Message; settling: DeliveryChannel } | undefined;

  constructor(rabbit: Rabbit, turns: Turns, process: Life) {
    this.#rabbit = rabbit;
    this.#turns = turns;
    this.#process = process;
    this.broker = {
      consume: (name: string, take: (delivery: Delivery) => void) => this.#consume(name, take),
      publish: (message: OutgoingMessage) => this.#publish(message),
      publishLater() {},
      state: { consume: 'connected', publish: 'connected', user: PREFIX, blocked: undefined },
    } as unknown as Broker;
    process.atEnd(() => {
      this.loseConsume();
      this.losePublish();
    });
  }

  get canTake(): boolean {
    const isFree = this.#consuming && !this.#process.over && this.#inHand === undefined;
    return isFree && this.#queue.length > 0;
  }

  /** Hands the first message of its queue to the worker. */
  deliver(): void {
    const message = this.#queue.shift()!;
    const acks = {
      ack: () => this.#settle(() => (this.#inHand = undefined)),
      nack: () => this.#settle(() => this.#requeue(message)),
      reject: () => this.#settle(() => this.#requeue(message)),
    };
    const settling: DeliveryChannel = { channel: acks as unknown as Channel, open: true };
    this.#inHand = { message, settling };
    this.#onDelivery(new ChannelDelivery(settling, consumed(message)));
  }

  /** The consume connection is lost: what was in hand goes back to the queue. */
  loseConsume(): void {
    this.#channel.end();
    this.#channel = beginLife();
    if (this.#inHand === undefined) return;
    this.#inHand.settling.open = false;
    this.#requeue(this.#inHand.message);
  }

  /** The publish connection is lost: nobody knows what became of what was on its way. */
  losePublish(): void {
    this.#publishing.end();
    this.#publishing = beginLife();
  }

  #consume(name: string, take: (delivery: Delivery) => void) {
    this.#queue = queueOf(this.#rabbit, name);
    this.#onDelivery = take;
    this.#consuming = true;
    const cancel = async () => {
      this.#consuming = false;
    };
    return { consuming: true, cancel, close: async () => {} };
  }

  #requeue(message: Message): void {
    message.deliveries++;
    this.#queue.unshift(message);
    this.#inHand = undefined;
  }

  /** The broker hears it only if the channel lives until then. */
  #settle(happen: () => void): void {
    const { message } = this.#inHand!;
    this.#turns.later(this.#channel, () => {
      if (this.#inHand?.message === message) happen();
    });
  }

  /** Stored, and then confirmed: each may be prevented by the end of the connection or of the process. */
  async #publish(message: OutgoingMessage): Promise<void> {
    const connection = this.#publishing;
    const lost = new Promise<never>((_, reject) =>
      connection.atEnd(() => {
        if (!this.#process.over) reject(new PublishUnknown('sent, but not confirmed: connection lost'));
      }),
    );
    lost.catch(() => {});
    const sent = { ...message, properties: { userId: PREFIX, ...message.properties } };
    await Promise.race([this.#turns.take(connection, () => this.#rabbit.publish(sent)), lost]);
    await Promise.race([this.#turns.take(connection, () => {}), lost]);
  }
}

function consumed({ body, properties, deliveries }: Message): ConsumeMessage {
  const headers = { ...properties?.headers, ...(deliveries > 0 && { 'x-delivery-count': deliveries }) };
  return {
    content: body,
    properties: { ...properties, headers },
    fields: { redelivered: deliveries > 0, routingKey: '', exchange: '', deliveryTag: 1, consumerTag: '' },
  } as unknown as ConsumeMessage;
}
