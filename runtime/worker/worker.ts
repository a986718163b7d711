import type { Delivery } from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import { unknownFilter } from '../functions.ts';
import type { TaskEvent } from '../task/events.ts';
import { HEADERS, type Hop, parseTask, shortenId, type Task } from '../task/task.ts';
import { eventOf, jobOf, type Work, type WorkerOptions } from './delivery-context.ts';
import { failpoint } from './failpoint.ts';
import { createOutbox, type Incoming } from './outbox.ts';
import { createOutcomes } from './outcomes.ts';
import type { StepResult } from './protocol.ts';

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
    const unit = read(delivery);
    if (unit instanceof TaskFailure) return await bury(delivery, unit);
    try {
      const result = await resultOf(unit);
      unit.span.end(result?.kind === 'failed' ? result.message : undefined);
    } catch (thrown) {
      unit.span.end(asError(thrown).message);
      throw thrown;
    }
  }

  function read(delivery: Delivery): Work | TaskFailure {
    try {
      return take(delivery, parseTask(delivery, filter));
    } catch (thrown) {
      if (thrown instanceof TaskFailure) return thrown;
      throw thrown;
    }
  }

  function take(delivery: Delivery, { task, hop }: { task: Task; hop: Hop }): Work {
    const span = options.tracing.start(filter, task, hop, delivery.headers);
    const traced = span.traceId === undefined ? {} : { trace_id: span.traceId };
    const log = options.log.child({ task: task.id, step: hop.step, ...traced });
    const queueMs = hop.publishedMs === null ? null : Math.max(0, delivery.receivedAtMs - hop.publishedMs);
    return { filter, worker: options.name, delivery, task, hop, span, log, queueMs };
  }

  /** Looks before it leaps: only a task that is due here, and did not take down workers before, is worked on. */
  async function resultOf(unit: Work): Promise<StepResult | undefined> {
    const { delivery, task, hop } = unit;
    const due = task.steps[hop.step]!.filter;
    if (due !== filter && options.knownFilters().includes(due)) return void (await forward(unit, due));
    const start = performance.now();
    let result: StepResult;
    if (due !== filter)
      result = rejected(unknownFilter(due, options.knownFilters(), `steps[${hop.step}].filter`));
    else if (delivery.deliveryCount >= options.crashLimit) result = rejected(poison(delivery));
    else result = await work(unit);
    if (givingBack && result.kind === 'failed') await outcomes.handBack(unit);
    else await outcomes.follow(unit, result, performance.now() - start);
    return result;
  }

  async function work(unit: Work): Promise<StepResult> {
    if (unit.queueMs !== null) metrics.phase(filter, 'queue', unit.queueMs);
    outbox.eventLater(eventOf(unit, 'started', { attempt: unit.hop.attempt, worker: options.name }));
    return await child.run(jobOf(unit), timeoutOf(unit.task));
  }

  function timeoutOf(task: Task): number {
    return Math.min(options.taskTimeoutMs, task.timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  /** A message that cannot be read as a task. */
  async function bury(delivery: Delivery, { failureType, message }: TaskFailure): Promise<void> {
    const reason = { failure_type: failureType, failure_reason: message };
    const taskId = idOf(delivery);
    const event: TaskEvent = {
      type: 'failed',
      taskId: taskId ?? 'unknown',
      step: 0,
      generation: 0,
      attempt: 0,
      filter,
      time: new Date().toISOString(),
      data: { outcome: 'failed', ...reason, worker: options.name },
    };
    const letter = outbox.toDead(delivery, { filter, failureType, reason: message, worker: options.name });
    const told = taskId === undefined ? [] : [outbox.event(event)];
    if (!(await outbox.surely(delivery, letter, ...told, ...outbox.reply(delivery, event)))) return;
    delivery.ack();
    metrics.task(filter, 'rejected');
    options.log.warn({ filter, ...reason, task: taskId }, 'message rejected');
  }

  async function forward({ delivery, log }: Work, due: string): Promise<void> {
    if (!(await outbox.surely(delivery, outbox.again(delivery, due)))) return;
    delivery.ack();
    metrics.task(filter, 'forwarded');
    log.info({ filter, to: due }, 'task forwarded to its own queue');
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

function rejected({ failureType, message }: TaskFailure): StepResult {
  return { kind: 'failed', consequence: 'reject', failureType, message };
}

function poison({ deliveryCount }: Delivery): Rejection {
  return new Rejection(
    `This message was given to a worker ${deliveryCount} times and each time the worker died or lost the broker before it could finish; it is set aside so that it stops taking workers down.`,
    { failureType: 'poison' },
  );
}

/** Whose end to tell, as well as can be known of a message that is no task. */
function idOf({ headers, properties, body }: Delivery): string | undefined {
  const given = headers[HEADERS.id] ?? properties.messageId;
  if (typeof given === 'string' && given !== '') return shortenId(given);
  return /^\s*\{[^{}[\]]*"id"\s*:\s*"([\w.-]{1,200})"/.exec(body.toString('utf8', 0, 2_000))?.[1];
}
