/** The interface of the broker: its options, messages, deliveries and states. */
import type { Channel, MessageProperties } from 'amqplib';
import type { LoginFiles, TlsFiles } from './connection-files.ts';

/** A log like pino's. Messages and fields never hold credentials. */
export interface BrokerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The files are read at every connection attempt, so that rotated secrets take effect without a restart. */
export interface BrokerOptions extends LoginFiles, TlsFiles {
  /** `amqp://` or `amqps://`, with the vhost as path. Credentials in it give way to the files. */
  url: string;
  /** `external` takes the user name from the client certificate. Default `plain`. */
  auth?: 'plain' | 'external';
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
export type ConnectionStatus = 'idle' | 'connecting' | 'connected' | 'closed';

export interface BrokerState {
  consume: ConnectionStatus;
  publish: ConnectionStatus;
  /** The user that the broker knows us as; undefined before the first connection, or when it does not say. */
  user: string | undefined;
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
  /** Default: {@link BrokerState.user}. RabbitMQ refuses any but the name of the connection's own user. */
  userId?: string;
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
  /** Gives up: rejects with the signal's reason if not sent yet, else with `PublishUnknown`. */
  signal?: AbortSignal;
}

export interface Broker {
  /** Resolves when first connected; rejects only after `signal` aborts, with the last error in words. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Consumes until closed: sets up the consumer again after any end of connection, channel or consumer. `onDelivery`
   * must not throw; if it does, the message is given back with `reject`, which counts towards the delivery limit.
   */
  consume(queue: string, onDelivery: (delivery: Delivery) => void, options?: ConsumeOptions): Consumer;
  /**
   * Resolves when the broker has confirmed. Rejects with `Unroutable`, `PublishNacked`, `PublishRefused`,
   * `PublishUnknown` or `NotConnected`, or with a TypeError when a property cannot be encoded.
   * Waits while the broker is blocked or the socket is full; time spent blocked counts towards no timeout.
   */
  publish(message: PublishRequest): Promise<void>;
  /**
   * Writes the message to the socket and waits for no confirm. Drops it while the broker is blocked or the socket is
   * full; while disconnected it keeps the newest 100.
   */
  publishLater(message: OutgoingMessage): void;
  /** Runs `use` on a channel of its own, for topology and tools. Waits up to `confirmTimeoutMs` for a connection. */
  withChannel<T>(use: (channel: Channel) => Promise<T>): Promise<T>;
  readonly state: BrokerState;
  /** Calls `listener` after each change of {@link state}. Returns a function that stops it. */
  onStateChange(listener: (state: BrokerState) => void): () => void;
  /** Closes the consumers, waits for the confirms still to come and closes both connections. Default 5000 ms. */
  close(timeoutMs?: number): Promise<void>;
}

export interface ConsumeOptions {
  /** Unacknowledged messages in hand at once. Default 1. */
  prefetch?: number;
}

export interface Consumer {
  /** True while a consumer is registered on a live channel. */
  readonly consuming: boolean;
  /** Asks for no more deliveries. Those in hand can still be acked, and one may still arrive before this resolves. */
  cancel(): Promise<void>;
  /** Closes the channel by a round trip, which proves that the broker has handled every ack before it. */
  close(): Promise<void>;
}

export interface Delivery {
  readonly body: Buffer;
  /** Without what cannot be sent on. If there is a `userId`, RabbitMQ has checked that it is the publisher's. */
  readonly properties: MessageProperties;
  readonly headers: Record<string, unknown>;
  readonly routingKey: string;
  readonly exchange: string;
  readonly redelivered: boolean;
  /** Earlier deliveries that count against the queue's delivery limit (`x-delivery-count`), or 0. */
  readonly deliveryCount: number;
  readonly receivedAtMs: number;
  /** False once it is settled, or once its channel is gone: then the broker delivers it again. */
  readonly alive: boolean;
  /** Each settles it, at most once, in the same tick. Returns false, and never throws, when not {@link alive}. */
  ack(): boolean;
  /** On RabbitMQ 4.3 a requeue by nack does not count towards the delivery limit; {@link reject} does. */
  nack(requeue: boolean): boolean;
  reject(requeue: boolean): boolean;
}
