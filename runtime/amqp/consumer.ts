/** Keeps one consumer registered: when its channel ends, for whatever reason, it sets up the next. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ConsumeMessage, MessageProperties } from 'amqplib';
import { asError } from '../errors.ts';
import { writeThrough } from './amqplib-internals.ts';
import { Backoff } from './backoff.ts';
import type { ReconnectingConnection, Session } from './reconnecting-connection.ts';
import { sendableProperties } from './sendable-properties.ts';
import type { BrokerOptions, Consumer, Delivery } from './types.ts';

interface ConsumerSettings {
  queue: string;
  onDelivery: (delivery: Delivery) => void;
  prefetch: number;
  /** Called when `consuming` changes. */
  changed: () => void;
  options: BrokerOptions;
}

const QUEUE_MISSING_DELAY_MS = 1000;
const CLOSE_TIMEOUT_MS = 5000;

export class SupervisedConsumer implements Consumer {
  readonly #connection: ReconnectingConnection;
  readonly #settings: ConsumerSettings;
  readonly #stopping = new AbortController();
  readonly #backoff = new Backoff();
  #channel: ConsumerChannel | undefined;
  #settingUp: Promise<unknown> | undefined;
  #cancelled: Promise<void> | undefined;
  #consuming = false;
  #logged = '';

  constructor(connection: ReconnectingConnection, settings: ConsumerSettings) {
    this.#connection = connection;
    this.#settings = settings;
    void this.#run();
  }

  get consuming(): boolean {
    return this.#consuming;
  }

  cancel(): Promise<void> {
    this.#cancelled ??= this.#cancel();
    return this.#cancelled;
  }

  async #cancel(): Promise<void> {
    this.#stopping.abort(new Error('cancelled'));
    this.#setConsuming(false);
    // A message may be on its way to a consumer that has just been asked for: its channel has to stay, too.
    await this.#settingUp;
    const cancelled = this.#channel;
    if (cancelled?.consumerTag === undefined || !cancelled.open) return;
    await Promise.race([cancelled.channel.cancel(cancelled.consumerTag).catch(() => {}), cancelled.ended]);
  }

  async close(timeoutMs = CLOSE_TIMEOUT_MS): Promise<void> {
    await Promise.race([this.cancel(), sleep(timeoutMs, undefined, { ref: false })]);
    const closed = this.#channel;
    this.#channel = undefined;
    if (closed === undefined || !closed.open) return;
    const answered = closed.channel.close().catch(() => {});
    await Promise.race([answered, closed.ended, sleep(timeoutMs, undefined, { ref: false })]);
    closed.end(new Error('closed'));
  }

  async #run() {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let startedAtMs = performance.now();
      let reason: Error & { code?: number };
      try {
        const session = await this.#connection.whenUp(signal);
        startedAtMs = performance.now();
        const settingUp = this.#setUp(session);
        this.#settingUp = settingUp.catch(() => {});
        reason = await (await settingUp).ended;
      } catch (error) {
        reason = asError(error);
      }
      this.#setConsuming(false);
      // After cancel() the channel stays open until close(): deliveries in hand can still be acknowledged.
      if (signal.aborted && this.#channel?.consumerTag !== undefined) return;
      this.#retire(reason);
      if (signal.aborted) return;
      this.#report(reason);
      const isMissing = reason.code === 404;
      const delayMs = isMissing
        ? QUEUE_MISSING_DELAY_MS
        : this.#backoff.next(performance.now() - startedAtMs);
      await sleep(delayMs, undefined, { signal }).catch(() => {});
    }
  }

  /** The answer to `consume` is the round trip that proves that the channel works. */
  async #setUp(session: Session): Promise<ConsumerChannel> {
    const { queue, prefetch, options } = this.#settings;
    const lost = session.lost.then((reason) => Promise.reject(reason));
    const tooSlow = sleep(options.connectTimeoutMs, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`no answer to consuming ${queue} within ${options.connectTimeoutMs} ms`)),
    );
    tooSlow.catch(() => {});
    const within = <T>(step: Promise<T>) => Promise.race([step, lost, tooSlow]) as Promise<T>;
    const channel = await within(session.model.createChannel());
    writeThrough(channel);
    const starting = new ConsumerChannel(channel, session);
    this.#channel = starting;
    await within(channel.prefetch(prefetch));
    const onMessage = (message: ConsumeMessage | null) => this.#deliver(starting, message);
    this.#stopping.signal.throwIfAborted();
    const { consumerTag } = await within(channel.consume(queue, onMessage));
    starting.consumerTag = consumerTag;
    if (!starting.open || this.#stopping.signal.aborted) return starting;
    this.#logged = '';
    options.log.info({ queue, prefetch, generation: session.generation }, `consuming ${queue}`);
    this.#setConsuming(true);
    return starting;
  }

  #deliver(from: ConsumerChannel, message: ConsumeMessage | null) {
    const { queue, onDelivery, options } = this.#settings;
    // null: the broker has cancelled the consumer (queue deleted or moved, or on RabbitMQ 4.3 consumer_timeout).
    if (message === null) {
      from.end(new Error(`RabbitMQ cancelled the consumer of ${queue}`));
      return;
    }
    const delivery = new ChannelDelivery(from, message);
    try {
      onDelivery(delivery);
    } catch (error) {
      options.log.error(
        { queue, error: asError(error) },
        'the delivery handler threw; the message is given back',
      );
      delivery.reject(true);
    }
  }

  /** Deliveries in hand go back to the queue; their acks return false from now on. */
  #retire(reason: Error) {
    const retired = this.#channel;
    this.#channel = undefined;
    retired?.end(reason);
    retired?.channel.close().catch(() => {});
  }

  #report({ message, code }: Error & { code?: number }) {
    if (message === this.#logged) return;
    this.#logged = message;
    const { queue, options } = this.#settings;
    const hint = code === 404 ? '; darkroom queues declare makes the queues' : '';
    options.log.warn({ queue }, `not consuming ${queue}: ${message}${hint}`);
  }

  #setConsuming(next: boolean) {
    if (this.#consuming === next) return;
    this.#consuming = next;
    this.#settings.changed();
  }
}

/** Where a delivery is settled: on any other channel its tag is unknown or means another message. */
export interface DeliveryChannel {
  readonly channel: Channel;
  open: boolean;
}

/** One life of the consumer. */
class ConsumerChannel implements DeliveryChannel {
  readonly channel: Channel;
  /** Resolves, never rejects, with why it ended. */
  readonly ended: Promise<Error>;
  readonly end: (reason: Error) => void;
  open = true;
  consumerTag: string | undefined;

  constructor(channel: Channel, session: Session) {
    const { promise, resolve } = Promise.withResolvers<Error>();
    this.channel = channel;
    this.ended = promise;
    this.end = (reason) => {
      this.open = false;
      resolve(reason);
    };
    // 'error' comes before 'close' and knows more (404, 406, consumer_timeout).
    channel.on('error', this.end);
    channel.on('close', () => this.end(new Error('the channel was closed')));
    session.lost.then(this.end);
  }
}

/** One message in hand, settled at most once and only on the channel that delivered it. */
export class ChannelDelivery implements Delivery {
  readonly body: Buffer;
  readonly properties: MessageProperties;
  readonly headers: Record<string, unknown>;
  readonly routingKey: string;
  readonly exchange: string;
  readonly redelivered: boolean;
  readonly deliveryCount: number;
  readonly receivedAtMs = Date.now();
  readonly #from: DeliveryChannel;
  readonly #message: ConsumeMessage;
  #settled = false;

  constructor(from: DeliveryChannel, message: ConsumeMessage) {
    const { routingKey, exchange, redelivered } = message.fields;
    this.#from = from;
    this.#message = message;
    this.body = message.content;
    this.properties = sendableProperties(message.properties);
    this.headers = this.properties.headers ?? {};
    this.routingKey = routingKey;
    this.exchange = exchange;
    this.redelivered = redelivered;
    // RabbitMQ counts from the second delivery on: in the first, the header is the publisher's.
    const count = redelivered ? this.headers['x-delivery-count'] : 0;
    this.deliveryCount = typeof count === 'number' ? count : 0;
  }

  get alive(): boolean {
    return !this.#settled && this.#from.open;
  }

  ack(): boolean {
    return this.#settle((channel) => channel.ack(this.#message));
  }

  nack(requeue: boolean): boolean {
    return this.#settle((channel) => channel.nack(this.#message, false, requeue));
  }

  reject(requeue: boolean): boolean {
    return this.#settle((channel) => channel.reject(this.#message, requeue));
  }

  #settle(send: (channel: Channel) => void): boolean {
    if (!this.alive) return false;
    this.#settled = true;
    try {
      send(this.#from.channel);
      return true;
    } catch {
      // The channel has just closed: the broker delivers the message again.
      return false;
    }
  }
}
