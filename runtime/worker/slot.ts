/**
 * One slot of a worker: it takes one delivery at a time from its filter's queue and sees it through to the end.
 *
 * The life of a delivery:
 *
 * 1. Receive. RabbitMQ hands the slot one message (prefetch 1) and no other until that one is settled.
 * 2. Read. `trust.ts` leaves out what its sender has no right to say; `task.ts` makes of the rest a task and its hop: what
 *    is to be done, and which step is due.
 * 3. Check. Is this filter due? Has the message taken down workers before?
 * 4. Run. The child process fetches the image, decodes it, applies the filter, encodes and stores the result
 *    (`run-step.ts`). With the last step it writes the task's marker. Where a hop would cost more than it earns, it goes
 *    on with the next step (`run-delivery.ts`, `carry.ts`).
 * 5. Decide. `decide.ts` makes of all that is known one decision: what to publish, what to clean up, how it ended.
 * 6. Settle. `settle.ts` publishes, waits until the broker has confirmed every message, and only then acknowledges.
 *
 * Whatever dies between two of these leads to a repeat, never to a loss: the message is delivered again, and a repeat
 * finds what was stored. What fails in an unforeseen way is kept as a dead letter.
 */
import type { Logger } from 'pino';
import type { Broker, Delivery } from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import { asError, TaskFailure } from '../errors.ts';
import { parseTask } from '../task/task.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import type { CarryMode } from './carry.ts';
import type { Child } from './child-process.ts';
import { decide, noQueueFor, verdictBeforeWork } from './decide.ts';
import { decideUnforeseen, decideUnreadable } from './decide-unreadable.ts';
import type { Decision, Policy, Verdict } from './decision.ts';
import type { DeliveryContext } from './delivery-context.ts';
import { failpoint } from './failpoint.ts';
import { Intake, Intakes } from './intake.ts';
import { markTask } from './mark-task.ts';
import type { BrokerNames } from './messages.ts';
import { readingOf, runDelivery, type StepReading, type Work } from './run-delivery.ts';
import { Settler } from './settle.ts';
import type { Trust } from './trust.ts';

/** A delivery older than its deadline by this much, with nothing excusing it, is wedged. */
const WEDGED_MARGIN_MS = 60_000;

export interface SlotOptions {
  filter: string;
  prefix: string;
  /** Of the worker: says on events and dead letters who did it. */
  name: string;
  broker: Broker;
  child: Child;
  metrics: Metrics;
  tracing: Tracing;
  log: Logger;
  taskTimeoutMs: number;
  /** When to go on with a task's next step. */
  carry: CarryMode;
  /** How long one delivery may be worked on, its carried steps included. */
  deliveryTimeMs: number;
  retryDelaysMs: number[];
  crashLimit: number;
  /** Whether its worker may have other tasks in hand. */
  hasNeighbours?: boolean;
  knownFilters: () => string[];
  trust: Trust;
  /** Of the worker. Default: it has no other slot. */
  intakes?: Intakes;
  /** Told when a task is taken and when none is in hand. */
  onBusy?: ((busy: boolean) => void) | undefined;
}

export class Slot {
  readonly filter: string;
  readonly child: Child;
  readonly #options: SlotOptions;
  readonly #at: BrokerNames;
  readonly #settler: Settler;
  readonly #intakes: Intakes;
  readonly #intake: Intake;
  #givingBack = false;

  constructor(options: SlotOptions) {
    const { filter, prefix, broker, child, metrics, onBusy } = options;
    this.filter = filter;
    this.child = child;
    this.#options = options;
    this.#at = names(prefix);
    this.#settler = new Settler({ filter, at: this.#at, broker, child, metrics });
    this.#intakes = options.intakes ?? new Intakes();
    this.#intake = new Intake({
      broker,
      queue: this.#at.queue(filter),
      process: (delivery) => this.#process(delivery),
      onBusy(busy) {
        metrics.inFlight(filter, busy ? 1 : -1);
        onBusy?.(busy);
      },
    });
    this.#intakes.add(this.#intake);
  }

  get consuming(): boolean {
    return this.#intake.consuming;
  }

  get busy(): boolean {
    return this.#intake.busy;
  }

  /** True when a task has been in hand for far longer than anything explains, such as a queue that refuses. */
  get wedged(): boolean {
    if (this.waitsFor !== undefined) return false;
    const { taskTimeoutMs, broker } = this.#options;
    const deadlineMs = taskTimeoutMs + WEDGED_MARGIN_MS;
    const overdue = this.#intake.ageMs > deadlineMs;
    return overdue && broker.state.publish === 'connected' && broker.state.blocked === undefined;
  }

  /** What refuses the message that the task in hand waits for, while something does. */
  get waitsFor(): string | undefined {
    return this.#settler.waitsFor;
  }

  /** No more deliveries, and no more steps of the one in hand; resolves when that is settled. */
  drain(): Promise<void> {
    return this.#intake.end();
  }

  /** Stops the work in hand and gives its message back, without counting it as a failure. */
  async giveBack(): Promise<void> {
    this.#givingBack = true;
    this.child.kill();
    this.#settler.stopWaiting();
    await this.#intake.end();
  }

  async #process(delivery: Delivery): Promise<void> {
    try {
      failpoint('received');
      const incoming = this.#options.trust.admit(delivery);
      const reading = this.#read(incoming);
      if (reading instanceof TaskFailure)
        await this.#settle(delivery, decideUnreadable(incoming, reading, this.#handler));
      else await this.#see(delivery, reading);
    } catch (thrown) {
      await this.#settle(delivery, decideUnforeseen(delivery, asError(thrown), this.#handler));
    }
  }

  #read(delivery: DeliveryContext['delivery']): StepReading | TaskFailure {
    const { filter, name: worker } = this.#options;
    try {
      const { task, hop } = parseTask(delivery, filter);
      const queueMs = hop.publishedMs === null ? null : Math.max(0, delivery.receivedAtMs - hop.publishedMs);
      const delivered = { filter, hop };
      const context = { ...delivered, delivered, worker, delivery, task, queueMs, traceparent: undefined };
      return readingOf(context, this.#options);
    } catch (thrown) {
      if (thrown instanceof TaskFailure) return thrown;
      throw thrown;
    }
  }

  /** From a readable delivery to its end. */
  async #see(delivery: Delivery, first: StepReading): Promise<void> {
    let { span } = first;
    try {
      const { reading, verdict, workMs } = await this.#work(delivery, first);
      const { context, log } = reading;
      span = reading.span;
      const policy = this.#policy(workMs);
      const decision = await this.#decide(context, verdict, policy);
      let settled = await this.#settle(delivery, decision, log);
      if (settled === 'unroutable') {
        const failure = noQueueFor(decision.needsQueueOf!);
        settled = await this.#settle(delivery, await this.#decide(context, failure, policy), log);
      }
      if (settled === 'refused')
        await this.#settle(delivery, await this.#decide(context, { kind: 'given-back' }, policy), log);
      span.end(verdict.kind === 'failed' ? verdict.message : undefined);
    } catch (thrown) {
      span.end(asError(thrown).message);
      throw thrown;
    }
  }

  async #work(delivery: Delivery, first: StepReading): Promise<Omit<Work, 'verdict'> & { verdict: Verdict }> {
    const early = verdictBeforeWork(first.context, delivery.deliveryCount, this.#options);
    if (early !== undefined) return { reading: first, verdict: early, workMs: 0 };
    const { hop } = first.context;
    try {
      const isAdmitted = await this.#intakes.admit(this.#intake, hop.isSuspect);
      if (!isAdmitted || this.#givingBack || !delivery.alive)
        return { reading: first, verdict: { kind: 'given-back' }, workMs: 0 };
      const work = await this.#run(delivery, first);
      const isGivenBack = this.#givingBack && work.verdict.kind === 'failed';
      return isGivenBack ? { ...work, verdict: { kind: 'given-back' } } : work;
    } finally {
      this.#intakes.dismiss(this.#intake);
    }
  }

  async #run(delivery: Delivery, first: StepReading): Promise<Work> {
    const { deliveryTimeMs } = this.#options;
    const startMs = performance.now();
    return await runDelivery(first, {
      ...this.#options,
      announce: (event) => this.#settler.announce(event),
      onStep: () => this.#intake.touch(),
      mayGoOn: (timeoutMs) =>
        !this.#intake.stopping && delivery.alive && performance.now() - startMs + timeoutMs <= deliveryTimeMs,
    });
  }

  async #decide(context: DeliveryContext, verdict: Verdict, policy: Policy): Promise<Decision> {
    let decision = decide(context, verdict, policy);
    while ('mark' in decision)
      decision = decide(context, verdict, policy, await markTask(this.child, context.task, decision));
    return decision;
  }

  async #settle(delivery: Delivery, decision: Decision, log = this.#options.log) {
    return await this.#settler.settle(delivery, decision, log);
  }

  #policy(workMs: number): Policy {
    const { retryDelaysMs } = this.#options;
    return { at: this.#at, retryDelaysMs, workMs, nowMs: Date.now(), jitter: Math.random() };
  }

  get #handler() {
    return { at: this.#at, filter: this.filter, worker: this.#options.name };
  }
}
