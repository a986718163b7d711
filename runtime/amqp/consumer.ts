/** Keeps one consumer registered: a channel per life, set up again after whatever ended the last one. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ConsumeMessage } from 'amqplib';
import { asError } from '../errors.ts';
import { writeThrough } from './amqplib-internals.ts';
import { createBackoff } from './backoff.ts';
import { createDelivery, type Settling } from './delivery.ts';
import type { Link, Session } from './reconnecting-connection.ts';
import type { BrokerOptions, Consumer, Delivery } from './types.ts';

export interface SupervisedConsumer extends Consumer {
  close(timeoutMs?: number): Promise<void>;
}

interface ConsumerSettings {
  queue: string;
  onDelivery: (delivery: Delivery) => void;
  prefetch: number;
  /** Called when `consuming` changes. */
  changed: () => void;
  options: BrokerOptions;
}

/** One life of the consumer. */
interface Life extends Settling {
  readonly channel: Channel;
  readonly ended: Promise<Error>;
  end(reason: Error): void;
  consumerTag?: string;
}

const QUEUE_MISSING_DELAY_MS = 1000;
const CLOSE_TIMEOUT_MS = 5000;

export function createConsumer(link: Link, settings: ConsumerSettings): SupervisedConsumer {
  const { queue, prefetch, changed, options } = settings;
  const { log } = options;
  const stopping = new AbortController();
  const backoff = createBackoff();
  let life: Life | undefined;
  let consuming = false;
  let logged = '';

  async function run() {
    while (!stopping.signal.aborted) {
      let startedAtMs = performance.now();
      let reason: Error & { code?: number };
      try {
        const session = await link.whenUp(stopping.signal);
        startedAtMs = performance.now();
        reason = await (await setUp(session)).ended;
      } catch (error) {
        reason = asError(error);
      }
      setConsuming(false);
      // A channel that was cancelled in good order stays for the acks of what is in hand, until close().
      if (stopping.signal.aborted && life?.consumerTag !== undefined) return;
      retire(reason);
      if (stopping.signal.aborted) return;
      report(reason);
      const delayMs =
        reason.code === 404 ? QUEUE_MISSING_DELAY_MS : backoff.next(performance.now() - startedAtMs);
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  /** Channel, prefetch, consume: the last is the round trip that proves it. */
  async function setUp(session: Session): Promise<Life> {
    const gone = session.lost.then((reason) => Promise.reject(reason));
    const late = sleep(options.connectTimeoutMs, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`no answer to consuming ${queue} within ${options.connectTimeoutMs} ms`)),
    );
    late.catch(() => {});
    const within = <T>(step: Promise<T>) => Promise.race([step, gone, late]) as Promise<T>;
    const channel = await within(session.model.createChannel());
    writeThrough(channel);
    const starting = beginLife(channel, session);
    life = starting;
    await within(channel.prefetch(prefetch));
    const { consumerTag } = await within(channel.consume(queue, (message) => deliver(starting, message)));
    stopping.signal.throwIfAborted();
    starting.consumerTag = consumerTag;
    if (!starting.open) return starting;
    logged = '';
    log.info({ queue, prefetch, generation: session.generation }, `consuming ${queue}`);
    setConsuming(true);
    return starting;
  }

  function deliver(from: Life, message: ConsumeMessage | null) {
    // null: the broker has cancelled the consumer (queue deleted or moved, or on RabbitMQ 4.3 consumer_timeout).
    if (message === null) {
      from.end(new Error(`RabbitMQ cancelled the consumer of ${queue}`));
      return;
    }
    const delivery = createDelivery(from, message);
    try {
      settings.onDelivery(delivery);
    } catch (error) {
      log.error({ queue, error: asError(error) }, 'the delivery handler threw; the message is given back');
      delivery.reject(true);
    }
  }

  /** Deliveries still in hand go back to the queue with the channel; their acks answer false from now on. */
  function retire(reason: Error) {
    const retired = life;
    life = undefined;
    retired?.end(reason);
    retired?.channel.close().catch(() => {});
  }

  function report(reason: Error & { code?: number }) {
    if (reason.message === logged) return;
    logged = reason.message;
    const hint = reason.code === 404 ? '; darkroom queues declare makes the queues' : '';
    log.warn({ queue }, `not consuming ${queue}: ${reason.message}${hint}`);
  }

  function setConsuming(next: boolean) {
    if (consuming === next) return;
    consuming = next;
    changed();
  }

  void run();
  return {
    get consuming() {
      return consuming;
    },
    async cancel() {
      if (stopping.signal.aborted) return;
      stopping.abort(new Error('cancelled'));
      setConsuming(false);
      const cancelled = life;
      if (cancelled?.consumerTag === undefined || !cancelled.open) return;
      const answered = cancelled.channel.cancel(cancelled.consumerTag).catch(() => {});
      await Promise.race([answered, cancelled.ended]);
    },
    async close(timeoutMs = CLOSE_TIMEOUT_MS) {
      await Promise.race([this.cancel(), sleep(timeoutMs, undefined, { ref: false })]);
      const closed = life;
      life = undefined;
      if (closed === undefined || !closed.open) return;
      const answered = closed.channel.close().catch(() => {});
      await Promise.race([answered, closed.ended, sleep(timeoutMs, undefined, { ref: false })]);
      closed.end(new Error('closed'));
    },
  };
}

function beginLife(channel: Channel, session: Session): Life {
  let resolveEnded: (reason: Error) => void = () => {};
  const ended = new Promise<Error>((resolve) => {
    resolveEnded = resolve;
  });
  const life: Life = {
    channel,
    open: true,
    ended,
    end(reason) {
      life.open = false;
      resolveEnded(reason);
    },
  };
  // 'error' comes before 'close' and knows more (404, 406, consumer_timeout).
  channel.on('error', life.end);
  channel.on('close', () => life.end(new Error('the channel was closed')));
  session.lost.then(life.end);
  return life;
}
