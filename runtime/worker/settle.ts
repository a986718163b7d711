/** Carries a decision out: publishes, waits for every confirm, cleans up, acknowledges, counts and logs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Broker, type Delivery, PublishRefused, Unroutable } from '../amqp/broker.ts';
import { asError } from '../errors.ts';
import type { TaskEvent } from '../task/events.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Child } from './child-process.ts';
import type { Decision } from './decision.ts';
import { failpoint } from './failpoint.ts';
import { type BrokerNames, eventMessage, type Message } from './messages.ts';

const REPUBLISH_DELAY_MS = 250;

/** Whether the delivery is settled, was taken back by the broker, or has a message that no queue takes. */
export type Settled = 'settled' | 'taken-back' | 'unroutable';

export interface SettlerOptions {
  filter: string;
  at: BrokerNames;
  broker: Pick<Broker, 'publish' | 'publishLater'>;
  child: Pick<Child, 'clean'>;
  metrics: Pick<Metrics, 'task'>;
}

export class Settler {
  readonly #options: SettlerOptions;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  /** @throws when a message cannot be published at all and the decision does not say what to do then */
  async settle(delivery: Delivery, decision: Decision, log: Logger): Promise<Settled> {
    try {
      if (!(await this.#publishAll(delivery, decision.messages))) return 'taken-back';
    } catch (thrown) {
      if (thrown instanceof Unroutable && decision.needsQueueOf !== undefined) return 'unroutable';
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
  async #publishAll(delivery: Delivery, messages: Message[]): Promise<boolean> {
    const confirmed = await Promise.all(
      messages.map((message) => this.#publishUntilConfirmed(delivery, message)),
    );
    return confirmed.every(Boolean);
  }

  async #publishUntilConfirmed(delivery: Delivery, message: Message): Promise<boolean> {
    failpoint('publishing');
    while (delivery.alive) {
      try {
        const confirmed = this.#options.broker.publish(message);
        failpoint('sent');
        await confirmed;
        return true;
      } catch (error) {
        // No confirmation means no certainty: publish again. A repeat is harmless.
        if (!canBePublishedLater(error)) throw error;
        await sleep(REPUBLISH_DELAY_MS);
      }
    }
    return false;
  }

  #log({ log: line }: Decision, log: Logger): void {
    log[line.level]({ filter: this.#options.filter, ...line.fields }, line.text);
  }
}

/** Not a message that cannot be encoded, that no queue takes, or that the broker finds too large. */
function canBePublishedLater(error: unknown): boolean {
  if (error instanceof RangeError || error instanceof TypeError || error instanceof Unroutable) return false;
  if (!(error instanceof PublishRefused)) return true;
  // A missing exchange (404) or right (403) is the installation's fault: it can be put right while the task waits.
  const { code } = error.cause as { code?: number };
  return code === 404 || code === 403;
}
