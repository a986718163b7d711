/** The runtime's one door to RabbitMQ: supervised connections that publish with confirms and consume for ever. */

import { createConsumer, type SupervisedConsumer } from './consumer.ts';
import { NotConnected } from './publish-errors.ts';
import { createPublisher } from './publisher.ts';
import { createLink, type Link, type LinkOwner } from './reconnecting-connection.ts';
import type { Broker, BrokerOptions, BrokerState } from './types.ts';

export { NotConnected, PublishRefused, PublishUnknown, Unroutable } from './publish-errors.ts';
export type {
  Broker,
  BrokerLog,
  BrokerOptions,
  BrokerState,
  ConsumeOptions,
  Consumer,
  Delivery,
  LinkStatus,
  OutgoingMessage,
  PublishProperties,
  PublishRequest,
} from './types.ts';

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
