/** Carries a decision out: publishes, waits for every confirm, cleans up, acknowledges, counts and logs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Broker, type Delivery, PublishNacked, PublishRefused, Unroutable } from '../amqp/broker.ts';
import { asError } from '../errors.ts';
import type { TaskEvent } from '../task/events.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Child } from './child-process.ts';
import type { Decision } from './decision.ts';
import { failpoint } from './failpoint.ts';
import { type BrokerNames, eventMessage, type Message } from './messages.ts';

const REPUBLISH_DELAY_MS = 250;
/** While a queue refuses what cannot be given up, its owner is asked ever less often. */
const REPUBLISH_DELAY_MAX_MS = 5_000;
/** A queue that is full for a moment gets another chance; its tasks are not held up for it. */
const GIVE_UP_AFTER_TRIES = 3;
const REFUSAL_LOG_MS = 60_000;

/** Whether it is settled, was taken back, or has a message that no queue takes, or that one refuses while we must stop. */
export type Settled = 'settled' | 'taken-back' | 'unroutable' | 'refused';

export interface SettlerOptions {
  filter: string;
  at: BrokerNames;
  broker: Pick<Broker, 'publish' | 'publishLater'>;
  child: Pick<Child, 'clean'>;
  metrics: Pick<Metrics, 'task' | 'notSent'>;
}

export class Settler {
  readonly #options: SettlerOptions;
  readonly #stopping = new AbortController();
  #waitsFor: string | undefined;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** What refuses the message that a task waits for, while one does. */
  get waitsFor(): string | undefined {
    return this.#waitsFor;
  }

  /** From now on no task waits for a queue that refuses. */
  stopWaiting(): void {
    this.#stopping.abort();
  }

  /** @throws when a message cannot be published at all and the decision does not say what to do then */
  async settle(delivery: Delivery, decision: Decision, log: Logger): Promise<Settled> {
    try {
      if (!(await this.#publishAll(delivery, decision.messages, log))) return 'taken-back';
    } catch (thrown) {
      if (thrown instanceof Unroutable && decision.needsQueueOf !== undefined) return 'unroutable';
      if (decision.otherwise === undefined && this.#mayNotWait(asError(thrown))) return 'refused';
      if (decision.otherwise === undefined) throw thrown;
      delivery[decision.otherwise](true);
      this.#log(decision, log);
      log.error({ err: asError(thrown) }, 'its message could not be published; the delivery goes back');
      return 'settled';
    }
    for (const event of decision.announcements) this.announce(event);
    if (decision.cleanUp !== undefined) await this.#options.child.clean(decision.cleanUp);
    failpoint('confirmed');
    delivery.ack();
    this.#options.metrics.task(this.#options.filter, decision.settlement);
    this.#log(decision, log);
    failpoint('acked');
    return 'settled';
  }

  /** Tells an event that nobody waits for. */
  announce(event: TaskEvent): void {
    this.#options.broker.publishLater(eventMessage(this.#options.at, event));
  }

  /** @returns false when the delivery was taken back before all were confirmed */
  async #publishAll(delivery: Delivery, messages: Message[], log: Logger): Promise<boolean> {
    try {
      const done = await Promise.all(
        messages.map((message) => this.#publishUntilConfirmed(delivery, message, log)),
      );
      return done.every(Boolean);
    } finally {
      this.#waitsFor = undefined;
    }
  }

  /**
   * No confirmation means no certainty: publish again, for a repeat is harmless. What a queue refuses is tried for ever
   * where a task would be lost without it, and a few times where only somebody would not hear of it.
   */
  async #publishUntilConfirmed(delivery: Delivery, message: Message, log: Logger): Promise<boolean> {
    failpoint('publishing');
    let refusals = 0;
    let loggedMs = Number.NEGATIVE_INFINITY;
    while (delivery.alive) {
      try {
        const confirmed = this.#options.broker.publish(message);
        failpoint('sent');
        await confirmed;
        return true;
      } catch (thrown) {
        const error = asError(thrown);
        if (!canBePublishedLater(error)) {
          if (message.instead !== undefined)
            return await this.#publishUntilConfirmed(delivery, message.instead, log);
          if (message.purpose !== 'reply') throw error;
          this.#giveUp(message, error, log);
          return true;
        }
        if (isRefusal(error)) {
          refusals++;
          if (isDispensable(message) && refusals >= GIVE_UP_AFTER_TRIES) {
            this.#giveUp(message, error, log);
            return true;
          }
          if (!isDispensable(message) && this.#mayNotWait(error)) throw error;
          if (!isDispensable(message) && delivery.alive) this.#waitsFor = error.message;
          if (performance.now() - loggedMs >= REFUSAL_LOG_MS) {
            loggedMs = performance.now();
            log.warn(
              { purpose: message.purpose, reason: error.message },
              'a message is refused; it is sent again',
            );
          }
        }
        await this.#pause(refusals);
      }
    }
    return false;
  }

  #mayNotWait(error: Error): boolean {
    return this.#stopping.signal.aborted && isRefusal(error) && canBePublishedLater(error);
  }

  async #pause(refusals: number): Promise<void> {
    const ms = Math.min(REPUBLISH_DELAY_MAX_MS, REPUBLISH_DELAY_MS * 2 ** Math.max(0, refusals - 1));
    const { signal } = this.#stopping;
    // Without an answer of the broker's there is no hurry, and asking at once would not help.
    await sleep(ms, undefined, refusals > 0 && !signal.aborted ? { signal } : {}).catch(() => {});
  }

  #giveUp({ purpose }: Message, { message }: Error, log: Logger): void {
    this.#options.metrics.notSent(this.#options.filter, purpose);
    log.warn({ purpose, reason: message }, 'a message is refused; it is given up, and the task goes on');
  }

  #log({ log: line }: Decision, log: Logger): void {
    log[line.level]({ filter: this.#options.filter, ...line.fields }, line.text);
  }
}

/** Not a message that cannot be encoded, that no queue takes, or that the broker finds too large. */
function canBePublishedLater(error: Error): boolean {
  if (error instanceof RangeError || error instanceof TypeError || error instanceof Unroutable) return false;
  if (!(error instanceof PublishRefused)) return true;
  // A missing exchange (404) or right (403) is the installation's fault: it can be put right while the task waits.
  const { code } = error.cause as { code?: number };
  return code === 404 || code === 403;
}

/** The broker has answered, and the answer was no. */
function isRefusal(error: Error): boolean {
  return error instanceof PublishNacked || error instanceof PublishRefused;
}

/** Nobody loses a task without it. */
function isDispensable({ purpose }: Message): boolean {
  return purpose === 'reply' || purpose === 'event';
}
