/** Keeps one connection up: connects, watches, tells its owner, and connects again until closed. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { asError } from '../errors.ts';
import { socketOf } from './amqplib-internals.ts';
import { Backoff } from './backoff.ts';
import { type AmqpConnection, openConnection, placeOf } from './connect.ts';
import { tolerateDeepHeaders } from './sendable-properties.ts';
import type { BrokerOptions, ConnectionStatus } from './types.ts';

export interface ConnectionOwner {
  /** Prepares channels; must end with a broker round trip, so that a connection that died meanwhile is noticed. */
  setUp(session: Session): Promise<void>;
  /** After a session has gone, or an attempt at one has failed. */
  tearDown(reason: Error): void;
  /** The broker takes no messages (reason) or takes them again (undefined). */
  blocked(reason: string | undefined): void;
  changed(): void;
}

const REPEAT_LOG_MS = 60_000;

export class ReconnectingConnection {
  readonly #purpose: 'consume' | 'publish';
  readonly #options: BrokerOptions;
  readonly #owner: ConnectionOwner;
  readonly #place: string;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff();
  readonly #waiters = new Set<(session: Session) => void>();
  #status: ConnectionStatus = 'idle';
  #lastError: string | undefined;
  #session: Session | undefined;
  #connection: AmqpConnection | undefined;
  #generation = 0;
  #user: string | undefined;
  #logged = { message: '', atMs: 0 };

  constructor(purpose: 'consume' | 'publish', options: BrokerOptions, owner: ConnectionOwner) {
    this.#purpose = purpose;
    this.#options = options;
    this.#owner = owner;
    this.#place = placeOf(options.url);
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** As whom the broker last let us in. */
  get user(): string | undefined {
    return this.#user;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  start(): void {
    if (this.#status !== 'idle') return;
    this.#change('connecting');
    void this.#run();
  }

  /** Resolves with the present session, or with the next one that is set up. */
  whenUp(signal: AbortSignal): Promise<Session> {
    if (this.#session !== undefined) return Promise.resolve(this.#session);
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onSession = (session: Session) => {
        signal.removeEventListener('abort', onAbort);
        resolve(session);
      };
      const onAbort = () => {
        this.#waiters.delete(onSession);
        reject(signal.reason);
      };
      this.#waiters.add(onSession);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Closes in good order within `timeoutMs`, then destroys the socket. */
  async close(timeoutMs: number): Promise<void> {
    const session = this.#session;
    this.#change('closed');
    this.#closing.abort(new Error('closed'));
    if (session !== undefined) {
      const answered = session.model.close().catch(() => {});
      await Promise.race([answered, session.lost, sleep(timeoutMs, undefined, { ref: false })]);
      session.drop(new Error('closed'));
    }
    this.#connection?.destroy();
  }

  async #run() {
    while (!this.#closing.signal.aborted) {
      const { error, lastedMs } = await this.#connectOnce();
      if (this.#closing.signal.aborted) return;
      this.#lastError = error.message;
      const delayMs = this.#backoff.next(lastedMs);
      this.#report(error, delayMs);
      this.#change('connecting');
      await sleep(delayMs, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  /** From connecting to the connection's end. */
  async #connectOnce(): Promise<{ error: Error; lastedMs: number }> {
    const name = `${this.#options.name} (${this.#purpose})`;
    let upAtMs = performance.now();
    let connection: AmqpConnection;
    try {
      connection = await openConnection({ ...this.#options, name }, this.#closing.signal);
    } catch (error) {
      this.#owner.tearDown(asError(error));
      return { error: asError(error), lastedMs: 0 };
    }
    this.#connection = connection;
    this.#user = connection.user;
    const session = new Session(connection, ++this.#generation, (reason) => this.#owner.blocked(reason));
    let error: Error;
    try {
      await this.#setUp(session);
      upAtMs = performance.now();
      this.#announce(session);
      const cause = await session.lost;
      error = new Error(`${this.#place}: connection lost (${cause.message})`, { cause });
    } catch (cause) {
      error = new Error(`${this.#place}: connection not set up (${asError(cause).message})`, { cause });
    }
    this.#session = undefined;
    session.drop(error);
    this.#owner.tearDown(error);
    return { error, lastedMs: performance.now() - upAtMs };
  }

  async #setUp(session: Session) {
    const { connectTimeoutMs } = this.#options;
    const lost = session.lost.then((reason) => Promise.reject(reason));
    const tooSlow = sleep(connectTimeoutMs, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`no channel within ${connectTimeoutMs} ms`)),
    );
    tooSlow.catch(() => {});
    await Promise.race([this.#owner.setUp(session), lost, tooSlow]);
  }

  #announce(session: Session) {
    this.#session = session;
    this.#lastError = undefined;
    this.#logged = { message: '', atMs: 0 };
    const { generation } = session;
    this.#options.log.info({ purpose: this.#purpose, broker: this.#place, generation }, 'connected');
    this.#change('connected');
    for (const onSession of this.#waiters) onSession(session);
    this.#waiters.clear();
  }

  /** Once per new message and then once a minute: a broker that is away for an hour fills no log. */
  #report({ message }: Error, delayMs: number) {
    const nowMs = performance.now();
    if (message === this.#logged.message && nowMs - this.#logged.atMs < REPEAT_LOG_MS) return;
    this.#logged = { message, atMs: nowMs };
    const fields = { purpose: this.#purpose, retryInMs: Math.round(delayMs) };
    this.#options.log.warn(fields, `not connected: ${message}`);
  }

  #change(next: ConnectionStatus) {
    if (this.#status === 'closed') return;
    this.#status = next;
    this.#owner.changed();
  }
}

/** One life of the connection. Its channels and deliveries are void once `lost` resolves. */
export class Session {
  readonly model: ChannelModel;
  /** As whom the broker lets us in; undefined when it does not say. */
  readonly user: string | undefined;
  /** Counts lives from 1. */
  readonly generation: number;
  /** Resolves, never rejects, with why the connection ended. */
  readonly lost: Promise<Error>;
  readonly #end: (reason: Error) => void;
  readonly #destroy: () => void;

  /** Listens to everything that can end a connection, before anything else can happen on it. */
  constructor(
    { model, user, destroy }: AmqpConnection,
    generation: number,
    onBlocked: (reason: string | undefined) => void,
  ) {
    const { promise: lost, resolve: end } = Promise.withResolvers<Error>();
    this.model = model;
    this.user = user;
    this.generation = generation;
    this.lost = lost;
    this.#end = end;
    this.#destroy = destroy;
    // 'error' comes before 'close' and knows more; a bare 'close' follows a shutdown in good order (320).
    model.on('error', end);
    model.on('close', (reason?: Error) => end(reason ?? new Error('the connection was closed')));
    model.on('blocked', (reason: string) => onBlocked(reason || 'an alarm'));
    model.on('unblocked', () => onBlocked(undefined));
    // An alarm can be raised together with the last frame of the handshake, before anyone listens.
    if ((model.connection as { blocked?: boolean }).blocked) onBlocked('an alarm');
    tolerateDeepHeaders(model);
    const socket = socketOf(model);
    socket?.once('close', () => end(new Error('the socket was closed')));
    if (socket?.destroyed) end(new Error('the socket was closed'));
  }

  /** Ends this life because something in it has stopped working. */
  drop(reason: Error): void {
    this.#end(reason);
    this.#destroy();
  }
}
