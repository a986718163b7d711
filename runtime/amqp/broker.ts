/** The runtime's one door to RabbitMQ: supervised connections that publish with confirms and consume for ever. */

import type { Channel, MessageProperties } from 'amqplib';
import { createConsumer, type SupervisedConsumer } from './consumer.ts';
import { createLink, type Link, type LinkOwner } from './link.ts';
import { NotConnected } from './publish-errors.ts';
import { createPublisher } from './publisher.ts';

export { NotConnected, PublishRefused, PublishUnknown, Unroutable } from './publish-errors.ts';

/** What the broker writes to: pino's shape. No message or field ever holds a credential. */
export interface BrokerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface BrokerOptions {
  /** `amqp://` or `amqps://`, with the vhost as path. Credentials in it give way to the files below. */
  url: string;
  /** `external` takes the user name from the client certificate. Default `plain`. */
  auth?: 'plain' | 'external';
  /** Files are read at every connection attempt, so that rotated secrets take effect without a restart. */
  usernameFile?: string;
  passwordFile?: string;
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  keyPassphraseFile?: string;
  /** Rounded up to whole seconds. A dead peer is noticed after two to three of these. */
  heartbeatMs: number;
  /** From sending a message to its confirmation; also how long a publish waits for a connection. */
  confirmTimeoutMs: number;
  /** For one whole attempt: TCP, TLS, AMQP handshake and a first round trip. */
  connectTimeoutMs: number;
  /** `connection_name` on RabbitMQ's management page. */
  name: string;
  log: BrokerLog;
}

/** `idle`: no consumer has been asked for yet. `closed`: after {@link Broker.close}. */
export type LinkStatus = 'idle' | 'connecting' | 'connected' | 'closed';

export interface BrokerState {
  consume: LinkStatus;
  publish: LinkStatus;
  /** The broker's reason while it refuses to take messages (memory or disk alarm). */
  blocked: string | undefined;
  /** The last failure in words; cleared once everything is connected. */
  lastError: string | undefined;
  /** When any of the above last changed, in ms since 1970. */
  since: number;
}

/** AMQP's basic properties and headers, all optional. Messages are persistent unless `persistent` is false. */
export interface PublishProperties {
  contentType?: string;
  contentEncoding?: string;
  headers?: Record<string, unknown>;
  persistent?: boolean;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  /** Milliseconds until the broker drops the message. */
  expiration?: string | number;
  messageId?: string;
  /** Seconds since 1970. */
  timestamp?: number;
  type?: string;
  appId?: string;
}

export interface OutgoingMessage {
  /** '' is the default exchange: the routing key then names the queue. */
  exchange: string;
  routingKey: string;
  body: Buffer;
  properties?: PublishProperties;
}

export interface PublishRequest extends OutgoingMessage {
  /** Ask for {@link Unroutable} when no queue takes the message. Default false. */
  mandatory?: boolean;
  /** Gives up: rejects with the signal's reason if not sent yet, else with {@link PublishUnknown}. */
  signal?: AbortSignal;
}

export interface Broker {
  /** Resolves when first connected; rejects only after `signal` aborts, with the last error in words. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Consumes for ever: set up again after any connection, channel or consumer-cancel event. `onDelivery` must not
   * throw; should it, the message is given back with `reject`, which the queue's delivery limit counts.
   */
  consume(queue: string, onDelivery: (delivery: Delivery) => void, options?: ConsumeOptions): Consumer;
  /**
   * Resolves when the broker has confirmed. Rejects with `Unroutable`, `PublishRefused`, `PublishUnknown` or
   * `NotConnected`, or with a TypeError when a property cannot be encoded.
   * Waits while the broker is blocked or the socket is full; time spent blocked counts towards no timeout.
   */
  publish(message: PublishRequest): Promise<void>;
  /** Hands the message to the socket and promises nothing. Dropped while blocked, behind or disconnected. */
  publishLater(message: OutgoingMessage): void;
  /** Runs `use` on a channel of its own (topology, tools), waiting for a connection up to `confirmTimeoutMs`. */
  withChannel<T>(use: (channel: Channel) => Promise<T>): Promise<T>;
  readonly state: BrokerState;
  /** Calls `listener` after each change of {@link state}. Returns the way to stop. */
  onStateChange(listener: (state: BrokerState) => void): () => void;
  /** Closes consumers, waits for confirms on their way and closes both connections, within `timeoutMs` (5000). */
  close(timeoutMs?: number): Promise<void>;
}

export interface ConsumeOptions {
  /** Unacknowledged messages in hand at once. Default 1. */
  prefetch?: number;
}

export interface Consumer {
  /** True while a consumer is registered on a live channel. */
  readonly consuming: boolean;
  /** Asks the broker for no more; deliveries in hand stay ackable, and one may still arrive before this resolves. */
  cancel(): Promise<void>;
  /** Closes the channel by a round trip, which proves that the broker has handled every ack before it. */
  close(): Promise<void>;
}

export interface Delivery {
  readonly body: Buffer;
  readonly properties: MessageProperties;
  readonly headers: Record<string, unknown>;
  readonly routingKey: string;
  readonly exchange: string;
  readonly redelivered: boolean;
  /** Earlier deliveries that count against the queue's delivery limit (`x-delivery-count`), or 0. */
  readonly deliveryCount: number;
  readonly receivedAtMs: number;
  /** False once the channel that delivered is gone or the delivery is settled: the broker delivers it again. */
  readonly alive: boolean;
  /** Each settles at most once and leaves in the same tick; false, never a throw, when no longer {@link alive}. */
  ack(): boolean;
  /** On RabbitMQ 4.3 a requeue by nack does not count towards the delivery limit; {@link reject} does. */
  nack(requeue: boolean): boolean;
  reject(requeue: boolean): boolean;
}

const CLOSE_TIMEOUT_MS = 5000;

/** Returns at once; connects and reconnects until closed, waiting 100 ms to 5 s with jitter between attempts. */
export function openBroker(options: BrokerOptions): Broker {
  const listeners = new Set<(state: BrokerState) => void>();
  const consumers = new Set<SupervisedConsumer>();
  const closing = new AbortController();
  const publisher = createPublisher(options, (reason) => publishLink.session?.drop(reason));
  const publishLink = createLink('publish', options, {
    setUp: (session) => publisher.attach(session),
    tearDown: (reason) => publisher.detach(reason),
    blocked(reason) {
      publisher.block(reason);
      changed();
    },
    changed,
  });
  // Consumers set up their own channels, each at its own pace; the connection itself needs nothing.
  const consumeOwner: LinkOwner = { setUp: async () => {}, tearDown() {}, blocked() {}, changed };
  const consumeLink = createLink('consume', options, consumeOwner);
  let since = Date.now();

  function state(): BrokerState {
    return {
      consume: consumeLink.status,
      publish: publishLink.status,
      blocked: publisher.blocked,
      lastError: publishLink.lastError ?? consumeLink.lastError,
      since,
    };
  }

  function changed() {
    since = Date.now();
    for (const listener of listeners) listener(state());
  }

  publishLink.start();
  return {
    async ready(signal) {
      const links = [publishLink, ...(consumeLink.status === 'idle' ? [] : [consumeLink])];
      await Promise.all(links.map((link) => waitUp(link, orClosing(signal))));
    },
    consume(queue, onDelivery, { prefetch = 1 } = {}) {
      consumeLink.start();
      const consumer = createConsumer(consumeLink, { queue, onDelivery, prefetch, changed, options });
      consumers.add(consumer);
      return consumer;
    },
    publish: publisher.publish,
    publishLater: publisher.publishLater,
    async withChannel(use) {
      const session = await waitUp(publishLink, orClosing(AbortSignal.timeout(options.confirmTimeoutMs)));
      const lost = session.lost.then((reason) => Promise.reject(reason));
      const channel = await Promise.race([session.model.createChannel(), lost]);
      // A refused operation closes the channel and rejects its promise, which says the same.
      channel.on('error', () => {});
      try {
        return await Promise.race([use(channel), lost]);
      } finally {
        await Promise.race([channel.close(), session.lost]).catch(() => {});
      }
    },
    get state() {
      return state();
    },
    onStateChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close(timeoutMs = CLOSE_TIMEOUT_MS) {
      const deadlineMs = performance.now() + timeoutMs;
      const left = () => Math.max(0, deadlineMs - performance.now());
      await Promise.all([...consumers].map((consumer) => consumer.close(timeoutMs)));
      await publisher.drain(left());
      closing.abort(new NotConnected('the broker connection was closed'));
      await Promise.all([consumeLink.close(left()), publishLink.close(left())]);
    },
  };

  function orClosing(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
  }
}

async function waitUp(link: Link, signal: AbortSignal) {
  try {
    return await link.whenUp(signal);
  } catch (cause) {
    if (cause instanceof NotConnected) throw cause;
    throw new NotConnected(link.lastError ?? 'RabbitMQ has not answered yet', { cause });
  }
}
