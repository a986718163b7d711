/** Keeps one connection up: connects, watches, tells its owner, and connects again until closed. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { asError } from '../errors.ts';
import { socketOf, tolerateDeepHeaders } from './amqplib-internals.ts';
import { createBackoff } from './backoff.ts';
import { type Connection, openConnection, placeOf } from './connect.ts';
import type { BrokerOptions, LinkStatus } from './types.ts';

/** One life of the connection. Whatever belongs to it is void once `lost` resolves. */
export interface Session {
  readonly model: ChannelModel;
  /** Counts lives from 1. */
  readonly generation: number;
  /** Resolves, never rejects, with why the connection ended. */
  readonly lost: Promise<Error>;
  /** Ends this life, because something in it has stopped working. */
  drop(reason: Error): void;
}

export interface LinkOwner {
  /** Prepares channels; must end with a broker round trip, so that a connection that died meanwhile is noticed. */
  setUp(session: Session): Promise<void>;
  /** After a session has gone, or an attempt at one has failed. */
  tearDown(reason: Error): void;
  /** The broker takes no messages (reason) or takes them again (undefined). */
  blocked(reason: string | undefined): void;
  changed(): void;
}

export interface Link {
  readonly status: LinkStatus;
  readonly lastError: string | undefined;
  /** The session in use, or undefined while there is none. */
  readonly session: Session | undefined;
  start(): void;
  /** Resolves with the next session that is set up, or the present one. */
  whenUp(signal: AbortSignal): Promise<Session>;
  /** AMQP's farewell within `timeoutMs`, then the socket is destroyed. */
  close(timeoutMs: number): Promise<void>;
}

const REPEAT_LOG_MS = 60_000;

export function createLink(purpose: 'consume' | 'publish', options: BrokerOptions, owner: LinkOwner): Link {
  const { log } = options;
  const closing = new AbortController();
  const backoff = createBackoff();
  const place = placeOf(options.url);
  const waiters = new Set<(session: Session) => void>();
  let status: LinkStatus = 'idle';
  let lastError: string | undefined;
  let session: Session | undefined;
  let connection: Connection | undefined;
  let generation = 0;
  let logged = { message: '', atMs: 0 };

  async function run() {
    while (!closing.signal.aborted) {
      const { error, lastedMs } = await live();
      if (closing.signal.aborted) return;
      lastError = error.message;
      const delayMs = backoff.next(lastedMs);
      report(error, delayMs);
      change('connecting');
      await sleep(delayMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }

  /** From connecting to the connection's end. */
  async function live(): Promise<{ error: Error; lastedMs: number }> {
    let upAtMs = performance.now();
    try {
      connection = await openConnection({ ...options, name: `${options.name} (${purpose})` }, closing.signal);
    } catch (error) {
      owner.tearDown(asError(error));
      return { error: asError(error), lastedMs: 0 };
    }
    const life = beginSession(connection, ++generation, owner);
    const lost = life.lost.then((reason) => Promise.reject(reason));
    const tooSlow = sleep(options.connectTimeoutMs, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`no channel within ${options.connectTimeoutMs} ms`)),
    );
    tooSlow.catch(() => {});
    let error: Error;
    try {
      await Promise.race([owner.setUp(life), lost, tooSlow]);
      upAtMs = performance.now();
      session = life;
      lastError = undefined;
      logged = { message: '', atMs: 0 };
      log.info({ purpose, broker: place, generation }, 'connected');
      change('connected');
      for (const wake of waiters) wake(life);
      waiters.clear();
      const cause = await life.lost;
      error = new Error(`${place}: connection lost (${cause.message})`, { cause });
    } catch (cause) {
      error = new Error(`${place}: connection not set up (${asError(cause).message})`, { cause });
    }
    session = undefined;
    life.drop(error);
    owner.tearDown(error);
    return { error, lastedMs: performance.now() - upAtMs };
  }

  /** Once per new message and then once a minute: a broker that is away for an hour fills no log. */
  function report(error: Error, delayMs: number) {
    const nowMs = performance.now();
    if (error.message === logged.message && nowMs - logged.atMs < REPEAT_LOG_MS) return;
    logged = { message: error.message, atMs: nowMs };
    log.warn({ purpose, retryInMs: Math.round(delayMs) }, `not connected: ${error.message}`);
  }

  function change(next: LinkStatus) {
    if (status === 'closed') return;
    status = next;
    owner.changed();
  }

  return {
    get status() {
      return status;
    },
    get lastError() {
      return lastError;
    },
    get session() {
      return session;
    },
    start() {
      if (status !== 'idle') return;
      change('connecting');
      void run();
    },
    whenUp(signal) {
      if (session !== undefined) return Promise.resolve(session);
      return new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const wake = (life: Session) => {
          signal.removeEventListener('abort', giveUp);
          resolve(life);
        };
        const giveUp = () => {
          waiters.delete(wake);
          reject(signal.reason);
        };
        waiters.add(wake);
        signal.addEventListener('abort', giveUp, { once: true });
      });
    },
    async close(timeoutMs) {
      const life = session;
      change('closed');
      closing.abort(new Error('closed'));
      if (life !== undefined) {
        const farewell = life.model.close().catch(() => {});
        await Promise.race([farewell, life.lost, sleep(timeoutMs, undefined, { ref: false })]);
        life.drop(new Error('closed'));
      }
      connection?.destroy();
    },
  };
}

/** Listens to everything that can end a connection, before anything else can happen on it. */
function beginSession({ model, destroy }: Connection, generation: number, owner: LinkOwner): Session {
  let end: (reason: Error) => void = () => {};
  const lost = new Promise<Error>((resolve) => {
    end = resolve;
  });
  // 'error' comes before 'close' and knows more; a bare 'close' follows a shutdown in good order (320).
  model.on('error', end);
  model.on('close', (reason?: Error) => end(reason ?? new Error('the connection was closed')));
  model.on('blocked', (reason: string) => owner.blocked(reason || 'an alarm'));
  model.on('unblocked', () => owner.blocked(undefined));
  // An alarm can be raised together with the last frame of the handshake, before anyone listens.
  if ((model.connection as { blocked?: boolean }).blocked) owner.blocked('an alarm');
  tolerateDeepHeaders(model);
  const socket = socketOf(model);
  socket?.once('close', () => end(new Error('the socket was closed')));
  if (socket?.destroyed) end(new Error('the socket was closed'));
  return {
    model,
    generation,
    lost,
    drop(reason) {
      end(reason);
      destroy();
    },
  };
}
