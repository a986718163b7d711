import type { Delivery } from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import { unknownFilter } from '../functions.ts';
import { HEADERS, type Hop, parseTask, type Task } from '../task.ts';
import { createOutbox, type Incoming } from './outbox.ts';
import { createOutcomes } from './outcomes.ts';
import { eventOf, jobOf, type Work, type WorkerOptions } from './work.ts';

/** A delivery older than its deadline by this much, with nothing excusing it, is wedged. */
const WEDGED_MARGIN_MS = 60_000;

export interface Worker {
  readonly filter: string;
  readonly consuming: boolean;
  readonly busy: boolean;
  /** True when a task has been in hand for far longer than anything explains. */
  readonly wedged: boolean;
  /** No more deliveries; resolves when the one in hand is settled. */
  drain(): Promise<void>;
  /** Stops the work in hand and gives its message back, without counting it as a failure. */
  giveBack(): Promise<void>;
}

export function startWorker(options: WorkerOptions): Worker {
  const { filter, broker, child, metrics } = options;
  const outbox = createOutbox(broker, options.prefix);
  const outcomes = createOutcomes(options, outbox);
  const inHand = new Set<{ sinceMs: number }>();
  let settled = Promise.resolve();
  let givingBack = false;

  const consumer = broker.consume(names(options.prefix).queue(filter), (delivery) => {
    failpoint('received');
    const taken = { sinceMs: performance.now() };
    inHand.add(taken);
    metrics.inFlight(filter, 1);
    options.onBusy?.(true);
    // One at a time, even when a broken connection brings the next delivery before the last one is settled.
    settled = settled
      .then(() => handle(delivery))
      .finally(() => {
        inHand.delete(taken);
        metrics.inFlight(filter, -1);
        options.onBusy?.(false);
      });
  });

  return {
    filter,
    get consuming() {
      return consumer.consuming;
    },
    get busy() {
      return inHand.size > 0;
    },
    get wedged() {
      const deadlineMs = options.taskTimeoutMs + WEDGED_MARGIN_MS;
      const overdue = [...inHand].some(({ sinceMs }) => performance.now() - sinceMs > deadlineMs);
      return overdue && broker.state.publish === 'connected' && broker.state.blocked === undefined;
    },
    async drain() {
      await consumer.cancel();
      await settled;
    },
    async giveBack() {
      givingBack = true;
      child.kill();
      await settled;
    },
  };

  async function handle(delivery: Delivery): Promise<void> {
    try {
      await settle(delivery);
    } catch (thrown) {
      await lastResort(delivery, asError(thrown));
    }
  }

  async function settle(delivery: Delivery): Promise<void> {
    if (delivery.deliveryCount >= options.crashLimit) return await poison(delivery);
    let read: { task: Task; hop: Hop };
    try {
      read = parseTask(delivery, filter);
    } catch (thrown) {
      if (!(thrown instanceof TaskFailure)) throw thrown;
      return await bury(delivery, thrown);
    }
    const { task, hop } = read;
    const due = task.steps[hop.step]!.filter;
    if (due !== filter) return await forward(delivery, task, hop, due);
    await work(delivery, task, hop);
  }

  async function work(delivery: Delivery, task: Task, hop: Hop): Promise<void> {
    const span = options.tracing.start(filter, task, hop, delivery.headers);
    const log = options.log.child({
      task: task.id,
      step: hop.step,
      ...(span.traceId && { trace_id: span.traceId }),
    });
    const queueMs = hop.publishedMs === null ? null : Math.max(0, delivery.receivedAtMs - hop.publishedMs);
    if (queueMs !== null) metrics.phase(filter, 'queue', queueMs);
    const unit: Work = { filter, worker: options.name, delivery, task, hop, span, log, queueMs };
    outbox.eventLater(eventOf(unit, 'started', { attempt: hop.attempt, worker: options.name }));
    const start = performance.now();
    const result = await child.run(jobOf(unit), timeoutOf(task));
    const workMs = performance.now() - start;
    try {
      if (givingBack && result.kind === 'failed') await outcomes.handBack(unit);
      else await outcomes.follow(unit, result, workMs);
    } finally {
      span.end(result.kind === 'failed' ? result.message : undefined);
    }
  }

  function timeoutOf(task: Task): number {
    return Math.min(options.taskTimeoutMs, task.timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  async function poison(delivery: Delivery): Promise<void> {
    const message = `This message was given to a worker ${delivery.deliveryCount} times and each time the worker died or lost the broker before it could finish; it is set aside so that it stops taking workers down.`;
    await bury(delivery, new Rejection(message, { failureType: 'poison' }));
  }

  /** A message that cannot be read as a task. */
  async function bury(delivery: Delivery, failure: TaskFailure): Promise<void> {
    const note = { filter, failureType: failure.failureType, reason: failure.message, worker: options.name };
    if (
      !(await outbox.surely(delivery, outbox.toDead(delivery, note), ...unreadableReply(delivery, failure)))
    )
      return;
    delivery.ack();
    metrics.task(filter, 'rejected');
    options.log.warn(
      {
        filter,
        failure_type: failure.failureType,
        failure_reason: failure.message,
        message_id: delivery.properties.messageId,
      },
      'message rejected',
    );
  }

  function unreadableReply(delivery: Delivery, failure: TaskFailure) {
    const taskId = String(delivery.headers[HEADERS.id] ?? delivery.properties.messageId ?? 'unknown');
    const data = { failure_type: failure.failureType, failure_reason: failure.message, worker: options.name };
    return outbox.reply(delivery, {
      type: 'failed',
      taskId,
      step: 0,
      generation: 0,
      attempt: 0,
      filter,
      time: new Date().toISOString(),
      data,
    });
  }

  async function forward(delivery: Delivery, task: Task, hop: Hop, due: string): Promise<void> {
    const known = options.knownFilters();
    if (!known.includes(due)) {
      return await bury(delivery, unknownFilter(due, known, `steps[${hop.step}].filter`));
    }
    if (!(await outbox.surely(delivery, outbox.again(delivery, due)))) return;
    delivery.ack();
    metrics.task(filter, 'forwarded');
    options.log.info({ filter, to: due, task: task.id }, 'task forwarded to its own queue');
  }

  /** Something nobody foresaw: never lose the message, and say what happened. */
  async function lastResort(delivery: Delivery, error: Error): Promise<void> {
    options.log.error({ err: error, filter }, 'a task could not be settled');
    const note = {
      filter,
      failureType: 'filter-failed',
      reason: `Darkroom itself failed: ${error.message}`,
      worker: options.name,
    };
    const bare: Incoming = { body: delivery.body, properties: delivery.properties, headers: {} };
    const buried = await outbox.surely(delivery, outbox.toDead(bare, note)).catch(() => false);
    if (buried) delivery.ack();
    else delivery.reject(true);
  }
}
