/** All slots of one worker process: whether they take tasks, whether one is stuck, and how they stop. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Broker } from '../amqp/broker.ts';
import type { Observed } from '../telemetry/metrics.ts';
import type { Health } from '../telemetry/probe-server.ts';
import type { Slot } from './slot.ts';

/** Connected, yet without a consumer for this long: the supervisor is stuck and a restart is better. */
const CONSUMING_WEDGED_MS = 120_000;
const CONSUMING_POLL_MS = 5;
const GIVE_BACK_TIMEOUT_MS = 5_000;

export class Worker implements Health, Observed {
  readonly #broker: Broker;
  readonly #slots: Slot[];
  readonly #stopping: AbortSignal;
  #consumedAtMs = performance.now();

  /** @param stopping aborted once the worker is told to stop */
  constructor(broker: Broker, slots: Slot[], stopping: AbortSignal) {
    this.#broker = broker;
    this.#slots = slots;
    this.#stopping = stopping;
  }

  add(slot: Slot): void {
    this.#slots.push(slot);
  }

  connected(): boolean {
    const { consume, publish } = this.#broker.state;
    return consume === 'connected' && publish === 'connected';
  }

  consuming(): { filter: string; consuming: boolean }[] {
    return this.#byFilter((slots) => ({ consuming: slots.every(({ consuming }) => consuming) }));
  }

  slots(): { filter: string; slots: number }[] {
    return this.#byFilter((slots) => ({ slots: slots.length }));
  }

  waiting(): { filter: string; waiting: boolean }[] {
    return this.#byFilter((slots) => ({ waiting: slots.some(({ waitsFor }) => waitsFor !== undefined) }));
  }

  childRestarts(): number {
    return this.#slots.reduce((sum, { child }) => sum + child.restarts, 0);
  }

  wedged(): string | undefined {
    const { consume, lastError } = this.#broker.state;
    const excused = consume !== 'connected' || lastError !== undefined || this.#stopping.aborted;
    if (excused || this.#allConsuming()) this.#consumedAtMs = performance.now();
    if (performance.now() - this.#consumedAtMs > CONSUMING_WEDGED_MS) return 'connected, but not consuming';
    const wedged = this.#slots.find((slot) => slot.wedged);
    return wedged && `the task in hand of ${this.#labelOf(wedged)} is long past its deadline`;
  }

  notReady(): string | undefined {
    if (this.#stopping.aborted) return 'draining';
    const { lastError } = this.#broker.state;
    const why = lastError ? `: ${lastError}` : '';
    if (!this.connected()) return `no connection to the broker${why}`;
    const idle = this.#slots.find(({ consuming }) => !consuming);
    if (idle !== undefined) return `not consuming the queue of ${this.#labelOf(idle)}${why}`;
    const waiting = this.#slots.find(({ waitsFor }) => waitsFor !== undefined);
    if (waiting !== undefined)
      return `the task in hand of ${this.#labelOf(waiting)} waits: ${waiting.waitsFor}`;
    const sick = this.#slots.find(({ child }) => !child.healthy);
    return sick && `the child process of ${this.#labelOf(sick)} does not start`;
  }

  /** Resolves when every slot consumes its queue, or when the worker is told to stop. */
  whenConsuming(): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!this.#stopping.aborted && !this.#allConsuming()) return;
        clearInterval(timer);
        unsubscribe();
        resolve();
      };
      const unsubscribe = this.#broker.onStateChange(check);
      const timer = setInterval(check, CONSUMING_POLL_MS);
    });
  }

  /** Lets the tasks in hand finish; after `drainMs`, or when told to `hurry`, gives them back. */
  async drain(drainMs: number, hurry: Promise<unknown>, log: Logger): Promise<void> {
    log.info({ drain_ms: drainMs, busy: this.#slots.filter(({ busy }) => busy).length }, 'draining');
    const drained = Promise.all(this.#slots.map((slot) => slot.drain())).then(() => true);
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), drainMs);
    const inTime = await Promise.race([drained, late.promise, hurry.then(() => false)]);
    clearTimeout(timer);
    if (inTime) return;
    log.warn('not drained in time; giving the tasks in hand back');
    const given = Promise.all(this.#slots.map((slot) => slot.giveBack()));
    // What cannot be given back now, the broker takes back itself when the connection closes.
    await Promise.race([given, sleep(GIVE_BACK_TIMEOUT_MS)]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#slots.map(({ child }) => child.close()));
  }

  /** With its number, where the filter has several. */
  #labelOf(slot: Slot): string {
    const { filter } = slot;
    const slots = this.#slots.filter((other) => other.filter === filter);
    return slots.length === 1 ? filter : `${filter} (slot ${slots.indexOf(slot) + 1})`;
  }

  #byFilter<T>(look: (slots: Slot[]) => T): ({ filter: string } & T)[] {
    const groups = Map.groupBy(this.#slots, ({ filter }) => filter);
    return [...groups].map(([filter, slots]) => ({ filter, ...look(slots) }));
  }

  #allConsuming(): boolean {
    return this.#slots.every(({ consuming }) => consuming);
  }
}
