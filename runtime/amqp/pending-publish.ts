/** A message on its way to the broker: how it is made, recognised in the broker's answers, and how it can end. */

import type { Message, Options } from 'amqplib';
import { fittingHeaders } from './sendable-properties.ts';
import type { OutgoingMessage, PublishRequest } from './types.ts';

/** The broker took the message but no queue wanted it (mandatory return). It is not stored: choose another key. */
export class Unroutable extends Error {
  override readonly name = 'Unroutable';
}

/**
 * The broker answered that a queue did not take the message (basic.nack), because it is full and rejects publishing
 * or has failed: publish again later. Where the exchange has several queues, the others may hold a copy.
 */
export class PublishNacked extends Error {
  override readonly name = 'PublishNacked';
}

/** Sent, but the answer never came (connection or channel lost, or too slow): publish again, a copy may exist. */
export class PublishUnknown extends Error {
  override readonly name = 'PublishUnknown';
}

/** Never sent, because no connection came in time or too much was waiting: publish again, no copy exists. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
}

/** The broker closed the channel over this very message (no such exchange, too large, no right): do not repeat it. */
export class PublishRefused extends Error {
  override readonly name = 'PublishRefused';
}

const PRECONDITION_FAILED = 406;

let madeIds = 0;

export class PendingPublish implements OutgoingMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly properties: Options.Publish;
  /** Rejects with one of the errors above. */
  readonly settled: Promise<void>;
  /** When it began to wait or, once sent, to wait for its confirm (ms, monotonic). */
  sinceMs = performance.now();
  readonly #resolve: () => void;
  readonly #reject: (reason: unknown) => void;
  #returned: string | undefined;

  constructor({ exchange, routingKey, body, properties: given, mandatory = false }: PublishRequest) {
    const properties: Options.Publish = { persistent: true, ...given, mandatory };
    if (properties.headers !== undefined) properties.headers = fittingHeaders(properties.headers);
    // A return is matched by message id, so a mandatory message needs one.
    if (mandatory && properties.messageId === undefined) properties.messageId = `${process.pid}-${++madeIds}`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.body = body;
    this.properties = properties;
    this.settled = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Notes that it came back, if this is the message. Its confirm follows. @returns whether it is */
  takeReturn({ fields, properties }: Message): boolean {
    const { exchange, routingKey, replyText } = fields as Message['fields'] & { replyText?: string };
    const isThis =
      this.properties.mandatory === true &&
      this.properties.messageId === properties.messageId &&
      this.exchange === exchange &&
      this.routingKey === routingKey;
    if (!isThis || this.#returned !== undefined) return false;
    this.#returned = String(replyText ?? 'returned');
    return true;
  }

  /** The broker has confirmed it. A message that came back is confirmed too. */
  confirm(): void {
    if (this.#returned === undefined) this.#resolve();
    else this.fail(new Unroutable(`no queue takes ${describe(this)}: ${this.#returned}`));
  }

  nack(): void {
    this.fail(new PublishNacked(`a queue does not take ${describe(this)}: it is full or has failed (nack)`));
  }

  /** It was sent, and the answer will not come. */
  lose(reason: string): void {
    this.fail(new PublishUnknown(`sent, but not confirmed: ${reason}`));
  }

  refuse(error: Error): void {
    this.fail(new PublishRefused(`RabbitMQ refuses ${describe(this)}: ${error.message}`, { cause: error }));
  }

  fail(reason: unknown): void {
    this.#reject(reason);
  }

  /** Whether the broker closed the channel over this message: its texts name the exchange, the size or the user. */
  isCauseOf({ code, message }: Error & { code?: number }): boolean {
    if (code === 404 || code === 403) return message.includes(`exchange '${this.exchange || 'amq.default'}'`);
    if (code !== PRECONDITION_FAILED) return false;
    const { userId } = this.properties;
    const isForgedUser = userId !== undefined && message.includes(`user_id property set to '${userId}'`);
    return isForgedUser || message.includes(`message size ${this.body.length} `);
  }
}

/**
 * The messages over which the broker closed the channel, as far as its words tell. A fault that they do not tell is that
 * of the only message on its way.
 */
export function causesOf(
  error: Error & { code?: number },
  sent: ReadonlySet<PendingPublish>,
): PendingPublish[] {
  const told = [...sent].filter((pending) => pending.isCauseOf(error));
  return told.length === 0 && sent.size === 1 && error.code === PRECONDITION_FAILED ? [...sent] : told;
}

function describe({ exchange, routingKey }: OutgoingMessage): string {
  return exchange === ''
    ? `a message to queue '${routingKey}'`
    : `a message to exchange '${exchange}' with key '${routingKey}'`;
}
