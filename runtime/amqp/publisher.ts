/** Publishes over whichever session is up: waits for one, matches the broker's confirms, and bounds memory. */

import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ConfirmChannel, IllegalOperationError, type Message } from 'amqplib';
import { asError } from '../errors.ts';
import { authenticatedUserIn } from './authenticated-user.ts';
import { causesOf, NotConnected, PendingPublish } from './pending-publish.ts';
import { keepUnconfirmedChannel, openConfirmChannel } from './publish-channels.ts';
import type { Session } from './reconnecting-connection.ts';
import type { BrokerOptions, OutgoingMessage, PublishRequest } from './types.ts';

/** Sent and not yet confirmed: enough for any round trip, and few to repeat after a loss. */
const MAX_IN_FLIGHT = 1000;
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** The newest messages of publishLater, kept until there is a connection. */
const MAX_LATER = 100;
const TICK_MS = 500;
/** amqplib's text for the broker's nack; the only other one is "channel closed". */
const NACKED = 'message nacked';

export class Publisher {
  readonly #options: BrokerOptions;
  readonly #waiting = new Set<PendingPublish>();
  readonly #inFlight = new Set<PendingPublish>();
  readonly #later: OutgoingMessage[] = [];
  #waitingBytes = 0;
  #session: Session | undefined;
  #toldUser: string | undefined;
  #channel: ConfirmChannel | undefined;
  #laterChannel: Channel | undefined;
  #blocked: string | undefined;
  #full = false;
  #downSinceMs = performance.now();
  #downReason = 'RabbitMQ has not answered yet';
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
  }

  /** The user that the broker knows us as. What it has said itself comes first: it may rename a login. */
  get user(): string | undefined {
    return this.#toldUser ?? this.#session?.user;
  }

  get blocked(): string | undefined {
    return this.#blocked;
  }

  async publish(request: PublishRequest): Promise<void> {
    const { signal } = request;
    if (this.#closed) throw new NotConnected('the broker connection was closed');
    signal?.throwIfAborted();
    const pending = new PendingPublish(request);
    if (this.#waiting.size > 0 || !this.#canSend()) this.#wait(pending);
    else this.#send(pending);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
    const onAbort = () => this.#giveUp(pending, signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await pending.settled;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  publishLater(message: OutgoingMessage): void {
    if (this.#blocked !== undefined || this.#full) return;
    if (this.#laterChannel === undefined) {
      this.#later.push(message);
      if (this.#later.length > MAX_LATER) this.#later.shift();
      return;
    }
    try {
      const { exchange, routingKey, body, properties } = message;
      const options = { persistent: true, userId: this.user, ...properties };
      this.#laterChannel.publish(exchange, routingKey, body, options);
    } catch (error) {
      this.#options.log.debug({ error: asError(error).message }, 'an event was dropped');
    }
  }

  async attach(session: Session): Promise<void> {
    this.#session = session;
    const [channel] = await Promise.all([
      openConfirmChannel(session, {
        returned: (message) => this.#markReturned(message),
        drained: () => this.#drained(),
        refused: (error) => this.#refuse(error),
      }),
      keepUnconfirmedChannel(session, this.#options.log, (later) => this.#useForLater(later)),
    ]);
    this.#channel = channel;
    this.#flush();
  }

  detach(reason: Error): void {
    this.#down();
    this.#session = undefined;
    this.#downReason = reason.message;
    this.#blocked = undefined;
    for (const pending of this.#inFlight) pending.lose(reason.message);
    this.#inFlight.clear();
  }

  block(reason: string | undefined): void {
    const { log } = this.#options;
    this.#blocked = reason;
    if (reason !== undefined) {
      log.warn({ reason }, `RabbitMQ takes no messages for now: ${reason}`);
      return;
    }
    log.info({}, 'RabbitMQ takes messages again');
    // Blocked time counts towards no timeout.
    for (const pending of this.#inFlight) pending.sinceMs = performance.now();
    this.#flush();
  }

  /** Takes no more, waits for what is on its way, and rejects what is left after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#closed = true;
    const deadlineMs = performance.now() + timeoutMs;
    while (this.#waiting.size + this.#inFlight.size > 0 && performance.now() < deadlineMs) await sleep(5);
    for (const pending of this.#waiting) {
      this.#stopWaiting(pending);
      pending.fail(new NotConnected('not sent before the broker connection was closed'));
    }
    clearInterval(this.#ticker);
  }

  #canSend(): boolean {
    const isReady = this.#channel !== undefined && this.#blocked === undefined && !this.#full;
    return isReady && this.#inFlight.size < MAX_IN_FLIGHT;
  }

  #wait(pending: PendingPublish) {
    const { length } = pending.body;
    const maxBytes = Math.max(MAX_WAITING_BYTES, length);
    if (this.#waiting.size >= MAX_WAITING || this.#waitingBytes + length > maxBytes) {
      const reason = this.#blocked ?? this.#downReason;
      pending.fail(new NotConnected(`too many messages wait to be sent (${reason})`));
      return;
    }
    this.#waiting.add(pending);
    this.#waitingBytes += length;
  }

  #stopWaiting(pending: PendingPublish): boolean {
    if (!this.#waiting.delete(pending)) return false;
    this.#waitingBytes -= pending.body.length;
    return true;
  }

  #flush() {
    for (const pending of this.#waiting) {
      if (!this.#canSend()) return;
      this.#stopWaiting(pending);
      this.#send(pending);
    }
  }

  #send(pending: PendingPublish) {
    const { exchange, routingKey, body } = pending;
    // Only by this name do others know which messages are our own.
    const properties = { userId: this.user, ...pending.properties };
    pending.sinceMs = performance.now();
    this.#inFlight.add(pending);
    try {
      const onConfirm = (error: Error | null) => this.#confirmed(pending, error);
      this.#full = !this.#channel!.publish(exchange, routingKey, body, properties, onConfirm);
    } catch (error) {
      this.#inFlight.delete(pending);
      // The channel has closed and nothing was sent; any other error is a fault of the message.
      if (!(error instanceof IllegalOperationError)) return pending.fail(error);
      this.#down();
      this.#wait(pending);
    }
  }

  #confirmed(pending: PendingPublish, error: Error | null) {
    // The channel has closed: detach settles the message, and knows why.
    if (error !== null && error.message !== NACKED) return;
    // It was given up or refused meanwhile.
    if (!this.#inFlight.delete(pending)) return;
    if (error === null) pending.confirm();
    else pending.nack();
    if (this.#waiting.size > 0) this.#flush();
  }

  /** A return precedes the confirm of its message, so marking it here is in time. */
  #markReturned(message: Message) {
    for (const pending of this.#inFlight) if (pending.takeReturn(message)) return;
  }

  #refuse(error: Error & { code?: number }) {
    this.#downReason = error.message;
    this.#toldUser = authenticatedUserIn(error) ?? this.#toldUser;
    for (const pending of causesOf(error, this.#inFlight)) {
      this.#inFlight.delete(pending);
      pending.refuse(error);
    }
  }

  #giveUp(pending: PendingPublish, reason: unknown) {
    if (this.#stopWaiting(pending)) pending.fail(reason);
    else if (this.#inFlight.delete(pending)) pending.lose(asError(reason).message);
  }

  #drained() {
    this.#full = false;
    this.#flush();
  }

  #useForLater(channel: Channel | undefined) {
    this.#laterChannel = channel;
    if (channel === undefined) return;
    for (const message of this.#later.splice(0)) this.publishLater(message);
  }

  #down() {
    if (this.#channel !== undefined) this.#downSinceMs = performance.now();
    this.#channel = undefined;
    this.#laterChannel = undefined;
    this.#full = false;
  }

  /** Both sets are in order of time, so their first entries are the oldest. */
  #tick() {
    const nowMs = performance.now();
    const { confirmTimeoutMs } = this.#options;
    const [oldest] = this.#inFlight;
    if (oldest && this.#blocked === undefined && nowMs - oldest.sinceMs > confirmTimeoutMs) {
      this.#session?.drop(new Error(`RabbitMQ has not confirmed a message within ${confirmTimeoutMs} ms`));
    }
    for (const pending of this.#channel === undefined ? this.#waiting : []) {
      if (nowMs - Math.max(pending.sinceMs, this.#downSinceMs) <= confirmTimeoutMs) break;
      this.#stopWaiting(pending);
      pending.fail(new NotConnected(`not sent within ${confirmTimeoutMs} ms: ${this.#downReason}`));
    }
    if (this.#waiting.size > 0 || this.#inFlight.size > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }
}
