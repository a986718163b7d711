/** The runtime's only way to RabbitMQ: it publishes with confirms, consumes, and reconnects whatever happens. */

import type { Channel } from 'amqplib';
import { SupervisedConsumer } from './consumer.ts';
import { NotConnected } from './pending-publish.ts';
import { Publisher } from './publisher.ts';
import { ReconnectingConnection, type Session } from './reconnecting-connection.ts';
import type { Broker, BrokerOptions, BrokerState, ConsumeOptions, Consumer, Delivery } from './types.ts';

export {
  NotConnected,
  PublishNacked,
  PublishRefused,
  PublishUnknown,
  Unroutable,
} from './pending-publish.ts';
export type {
  Broker,
  BrokerLog,
  BrokerOptions,
  BrokerState,
  ConnectionStatus,
  ConsumeOptions,
  Consumer,
  Delivery,
  OutgoingMessage,
  PublishProperties,
  PublishRequest,
} from './types.ts';

const CLOSE_TIMEOUT_MS = 5000;

/** Returns at once; connects and reconnects until closed, waiting 100 ms to 5 s with jitter between attempts. */
export function openBroker(options: BrokerOptions): Broker {
  return new RabbitBroker(options);
}

class RabbitBroker implements Broker {
  /** The publisher's own methods, bound: no detour for each message. */
  readonly publish: Broker['publish'];
  readonly publishLater: Broker['publishLater'];
  readonly #options: BrokerOptions;
  readonly #publisher: Publisher;
  readonly #publishConnection: ReconnectingConnection;
  readonly #consumeConnection: ReconnectingConnection;
  readonly #consumers = new Set<SupervisedConsumer>();
  readonly #listeners = new Set<(state: BrokerState) => void>();
  readonly #closing = new AbortController();
  #since = Date.now();

  constructor(options: BrokerOptions) {
    const changed = () => this.#changed();
    const publisher = new Publisher(options);
    this.#options = options;
    this.#publisher = publisher;
    this.publish = publisher.publish.bind(publisher);
    this.publishLater = publisher.publishLater.bind(publisher);
    this.#publishConnection = new ReconnectingConnection('publish', options, {
      setUp: (session) => publisher.attach(session),
      tearDown: (reason) => publisher.detach(reason),
      blocked(reason) {
        publisher.block(reason);
        changed();
      },
      changed,
    });
    // Each consumer sets up a channel of its own in its own time; the connection itself needs nothing.
    const consumeOwner = { setUp: async () => {}, tearDown() {}, blocked() {}, changed };
    this.#consumeConnection = new ReconnectingConnection('consume', options, consumeOwner);
    this.#publishConnection.start();
  }

  get state(): BrokerState {
    return {
      consume: this.#consumeConnection.status,
      publish: this.#publishConnection.status,
      user: this.#publisher.user ?? this.#consumeConnection.user,
      blocked: this.#publisher.blocked,
      lastError: this.#publishConnection.lastError ?? this.#consumeConnection.lastError,
      since: this.#since,
    };
  }

  onStateChange(listener: (state: BrokerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async ready(signal?: AbortSignal): Promise<void> {
    const isConsuming = this.#consumeConnection.status !== 'idle';
    const connections = isConsuming
      ? [this.#publishConnection, this.#consumeConnection]
      : [this.#publishConnection];
    await Promise.all(connections.map((connection) => this.#whenUp(connection, signal)));
  }

  consume(
    queue: string,
    onDelivery: (delivery: Delivery) => void,
    { prefetch = 1 }: ConsumeOptions = {},
  ): Consumer {
    this.#consumeConnection.start();
    const consumer = new SupervisedConsumer(this.#consumeConnection, {
      queue,
      onDelivery,
      prefetch,
      changed: () => this.#changed(),
      options: this.#options,
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  async withChannel<T>(use: (channel: Channel) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(this.#options.confirmTimeoutMs);
    const session = await this.#whenUp(this.#publishConnection, signal);
    const lost = session.lost.then((reason) => Promise.reject(reason));
    const channel = await Promise.race([session.model.createChannel(), lost]);
    // A refused operation closes the channel; its promise rejects with the same error.
    channel.on('error', () => {});
    try {
      return await Promise.race([use(channel), lost]);
    } finally {
      await Promise.race([channel.close(), session.lost]).catch(() => {});
    }
  }

  async close(timeoutMs = CLOSE_TIMEOUT_MS): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    const left = () => Math.max(0, deadlineMs - performance.now());
    await Promise.all([...this.#consumers].map((consumer) => consumer.close(timeoutMs)));
    await this.#publisher.drain(left());
    this.#closing.abort(new NotConnected('the broker connection was closed'));
    await Promise.all([this.#consumeConnection.close(left()), this.#publishConnection.close(left())]);
  }

  #changed() {
    this.#since = Date.now();
    for (const listener of this.#listeners) listener(this.state);
  }

  async #whenUp(connection: ReconnectingConnection, signal?: AbortSignal): Promise<Session> {
    const closing = this.#closing.signal;
    try {
      return await connection.whenUp(signal === undefined ? closing : AbortSignal.any([signal, closing]));
    } catch (cause) {
      if (cause instanceof NotConnected) throw cause;
      throw new NotConnected(connection.lastError ?? 'RabbitMQ has not answered yet', { cause });
    }
  }
}
