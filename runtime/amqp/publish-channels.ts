/** Opens the two channels that a session publishes on. One confirms; the other may fail without harm to it. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ConfirmChannel, Message } from 'amqplib';
import { writeThrough } from './amqplib-internals.ts';
import type { Session } from './reconnecting-connection.ts';
import type { BrokerLog } from './types.ts';

/** What happens on the channel with confirms. */
export interface ConfirmListener {
  /** No queue wanted a mandatory message. Its confirm follows. */
  returned(message: Message): void;
  /** The socket takes more again. */
  drained(): void;
  /** The broker closes the channel over a fault of one message, which `error` names. The session ends next. */
  refused(error: Error & { code?: number }): void;
}

const REOPEN_DELAY_MS = 1000;

export async function openConfirmChannel(
  session: Session,
  listener: ConfirmListener,
): Promise<ConfirmChannel> {
  const channel = await session.model.createConfirmChannel();
  // 'error' comes before 'close'.
  channel.on('error', (error: Error) => listener.refused(error));
  channel.on('close', () => session.drop(new Error('the publish channel was closed')));
  channel.on('return', (message: Message) => listener.returned(message));
  channel.on('drain', () => listener.drained());
  writeThrough(channel);
  return channel;
}

/** Opens a channel, and the next when that one closes. `use` gets each of them, and undefined in between. */
export async function keepUnconfirmedChannel(
  session: Session,
  log: BrokerLog,
  use: (channel: Channel | undefined) => void,
): Promise<void> {
  const channel = await session.model.createChannel();
  channel.on('error', (error: Error) => log.warn({}, `events are not delivered: ${error.message}`));
  channel.on('close', async () => {
    use(undefined);
    const lost = await Promise.race([session.lost, sleep(REOPEN_DELAY_MS, undefined, { ref: false })]);
    if (lost === undefined) await keepUnconfirmedChannel(session, log, use).catch(() => {});
  });
  writeThrough(channel);
  use(channel);
}
