/** Publishes with confirms over whichever session is up: waits, matches answers to messages and bounds memory. */

import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ConfirmChannel, IllegalOperationError, type Message } from 'amqplib';
import { asError } from '../errors.ts';
import { writeThrough } from './amqplib-internals.ts';
import { causedBy, type Entry, place, toEntry, unknown } from './pending-publish.ts';
import { NotConnected, PublishRefused, Unroutable } from './publish-errors.ts';
import type { Session } from './reconnecting-connection.ts';
import type { BrokerOptions, OutgoingMessage, PublishRequest } from './types.ts';

export interface Publisher {
  readonly blocked: string | undefined;
  attach(session: Session): Promise<void>;
  detach(reason: Error): void;
  block(reason: string | undefined): void;
  publish(request: PublishRequest): Promise<void>;
  publishLater(message: OutgoingMessage): void;
  /** Takes no more, waits for what is on its way, and rejects what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

/** Unconfirmed messages at once: enough for any round trip, little enough to repeat after a loss. */
const MAX_IN_FLIGHT = 1000;
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Messages without a promise that are kept until there is a connection, the newest. */
const MAX_LATER = 100;
const TICK_MS = 500;
const REOPEN_DELAY_MS = 1000;
/** amqplib's text for the broker's nack; the only other one is "channel closed". */
const NACKED = 'message nacked';

/** `drop` ends the present session, when its answers stay away. */
export function createPublisher(
  { confirmTimeoutMs, log }: BrokerOptions,
  drop: (reason: Error) => void,
): Publisher {
  const waiting = new Set<Entry>();
  const inFlight = new Set<Entry>();
  const later: OutgoingMessage[] = [];
  let waitingBytes = 0;
  let channel: ConfirmChannel | undefined;
  let laterChannel: Channel | undefined;
  let blocked: string | undefined;
  let full = false;
  let downSinceMs = performance.now();
  let downReason = 'RabbitMQ has not answered yet';
  let ticker: NodeJS.Timeout | undefined;
  let closed = false;

  function publish(request: PublishRequest): Promise<void> {
    const { signal, body } = request;
    if (closed) return Promise.reject(new NotConnected('the broker connection was closed'));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const mustWait = waiting.size > 0 || !canSend();
    if (
      mustWait &&
      (waiting.size >= MAX_WAITING || waitingBytes + body.length > Math.max(MAX_WAITING_BYTES, body.length))
    ) {
      return Promise.reject(new NotConnected(`too many messages wait to be sent (${blocked ?? downReason})`));
    }
    return new Promise((resolve, reject) => {
      const entry = toEntry(request, (error) => {
        signal?.removeEventListener('abort', giveUp);
        if (error === undefined) resolve();
        else reject(error);
      });
      const giveUp = () => {
        if (stopWaiting(entry)) entry.settle(signal?.reason);
        else if (inFlight.delete(entry)) entry.settle(unknown(asError(signal?.reason).message));
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      ticker ??= setInterval(tick, TICK_MS).unref();
      if (mustWait) wait(entry);
      else send(entry);
    });
  }

  function canSend(): boolean {
    return channel !== undefined && blocked === undefined && !full && inFlight.size < MAX_IN_FLIGHT;
  }

  function wait(entry: Entry) {
    waiting.add(entry);
    waitingBytes += entry.body.length;
  }

  function stopWaiting(entry: Entry): boolean {
    if (!waiting.delete(entry)) return false;
    waitingBytes -= entry.body.length;
    return true;
  }

  function flush() {
    for (const entry of waiting) {
      if (!canSend()) return;
      stopWaiting(entry);
      send(entry);
    }
  }

  function send(entry: Entry) {
    const through = channel as ConfirmChannel;
    entry.sinceMs = performance.now();
    inFlight.add(entry);
    try {
      const onConfirm = (error: Error | null) => confirmed(entry, error);
      full = !through.publish(entry.exchange, entry.routingKey, entry.body, entry.properties, onConfirm);
    } catch (error) {
      inFlight.delete(entry);
      // Anything else than a channel that has closed under us, unsent, is a fault of the message.
      if (!(error instanceof IllegalOperationError)) return entry.settle(asError(error));
      down();
      wait(entry);
    }
  }

  function confirmed(entry: Entry, error: Error | null) {
    // The channel has closed: what ends the session knows why, and detach settles the entry with that.
    if (error !== null && error.message !== NACKED) return;
    // Not in flight any more: given up or refused, and settled by that.
    if (!inFlight.delete(entry)) return;
    if (error !== null) entry.settle(unknown('RabbitMQ could not store it (nack)'));
    else if (entry.returned === undefined) entry.settle();
    else entry.settle(new Unroutable(`no queue takes ${place(entry)}: ${entry.returned}`));
    if (waiting.size > 0) flush();
  }

  /** A return precedes the confirm of its message, so marking it here is in time. */
  function onReturn({ fields, properties }: Message) {
    const { exchange, routingKey, replyText } = fields as Message['fields'] & { replyText?: string };
    for (const entry of inFlight) {
      const same = entry.properties.mandatory && entry.properties.messageId === properties.messageId;
      if (
        same &&
        entry.returned === undefined &&
        entry.exchange === exchange &&
        entry.routingKey === routingKey
      ) {
        entry.returned = String(replyText ?? 'returned');
        return;
      }
    }
  }

  async function attach(session: Session) {
    const [confirming, opened] = await Promise.all([openChannel(session), openLaterChannel(session)]);
    confirming.on('return', onReturn);
    confirming.on('drain', () => {
      full = false;
      flush();
    });
    channel = confirming;
    laterChannel = opened;
    full = false;
    for (const message of later.splice(0)) publishLater(message);
    flush();
  }

  async function openChannel(session: Session): Promise<ConfirmChannel> {
    const opened = await session.model.createConfirmChannel();
    // The broker closes a channel over a fault of one message; 'error' names it, and comes before 'close'.
    opened.on('error', (error: Error) => refuse(error));
    opened.on('close', () => session.drop(new Error('the publish channel was closed')));
    writeThrough(opened);
    return opened;
  }

  /** Without confirms, on a channel of its own: what goes wrong here reaches no confirmed message. */
  async function openLaterChannel(session: Session): Promise<Channel> {
    const opened = await session.model.createChannel();
    opened.on('error', (error: Error) => log.warn({}, `events are not delivered: ${error.message}`));
    opened.on('close', async () => {
      laterChannel = undefined;
      const ended = await Promise.race([session.lost, sleep(REOPEN_DELAY_MS, undefined, { ref: false })]);
      if (ended === undefined) laterChannel = await openLaterChannel(session).catch(() => undefined);
    });
    writeThrough(opened);
    return opened;
  }

  function refuse(error: Error & { code?: number }) {
    downReason = error.message;
    for (const entry of inFlight) {
      if (!causedBy(entry, error)) continue;
      inFlight.delete(entry);
      entry.settle(
        new PublishRefused(`RabbitMQ refuses ${place(entry)}: ${error.message}`, { cause: error }),
      );
    }
  }

  function down() {
    if (channel !== undefined) downSinceMs = performance.now();
    channel = undefined;
    laterChannel = undefined;
  }

  function detach(reason: Error) {
    down();
    downReason = reason.message;
    blocked = undefined;
    for (const entry of [...inFlight]) {
      inFlight.delete(entry);
      entry.settle(unknown(reason.message));
    }
  }

  function block(reason: string | undefined) {
    blocked = reason;
    if (reason !== undefined) {
      log.warn({ reason }, `RabbitMQ takes no messages for now: ${reason}`);
      return;
    }
    log.info({}, 'RabbitMQ takes messages again');
    // Blocked time counts towards no timeout.
    for (const entry of inFlight) entry.sinceMs = performance.now();
    flush();
  }

  /** Both sets are in order of time, so their first entries are the oldest. */
  function tick() {
    const nowMs = performance.now();
    const [oldest] = inFlight;
    if (oldest && blocked === undefined && nowMs - oldest.sinceMs > confirmTimeoutMs) {
      drop(new Error(`RabbitMQ has not confirmed a message within ${confirmTimeoutMs} ms`));
    }
    for (const entry of channel === undefined ? waiting : []) {
      if (nowMs - Math.max(entry.sinceMs, downSinceMs) <= confirmTimeoutMs) break;
      stopWaiting(entry);
      entry.settle(new NotConnected(`not sent within ${confirmTimeoutMs} ms: ${downReason}`));
    }
    if (waiting.size > 0 || inFlight.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  }

  function publishLater(message: OutgoingMessage) {
    if (blocked !== undefined || full) return;
    if (laterChannel === undefined) {
      later.push(message);
      if (later.length > MAX_LATER) later.shift();
      return;
    }
    try {
      const { exchange, routingKey, body, properties } = message;
      laterChannel.publish(exchange, routingKey, body, { persistent: true, ...properties });
    } catch (error) {
      log.debug({ error: asError(error).message }, 'an event was dropped');
    }
  }

  async function drain(timeoutMs: number) {
    closed = true;
    const deadlineMs = performance.now() + timeoutMs;
    while (waiting.size + inFlight.size > 0 && performance.now() < deadlineMs) await sleep(5);
    for (const entry of [...waiting]) {
      stopWaiting(entry);
      entry.settle(new NotConnected('not sent before the broker connection was closed'));
    }
    clearInterval(ticker);
  }

  return {
    get blocked() {
      return blocked;
    },
    attach,
    detach,
    block,
    publish,
    publishLater,
    drain,
  };
}
