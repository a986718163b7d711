/**
 * One filter's consumer: takes a delivery, has its step done, publishes what follows with confirms, and only
 * then acknowledges. Every way out of here ends in a result, a retry or a dead letter.
 */
import type { Logger } from 'pino';
import { type Broker, type Delivery, Unroutable } from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import type { Ended } from '../ended.ts';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { EventType, TaskEvent } from '../events.ts';
import { failpoint } from '../failpoint.ts';
import { HEADERS, type Hop, parseTask, type Task } from '../task.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Span, Tracing } from '../telemetry/tracing.ts';
import type { Child } from './child-process.ts';
import { createOutbox, type Incoming } from './outbox.ts';
import type { Job, StepResult, Timings } from './protocol.ts';

/** Marker and clean-up requests to the child are small; longer means that the storage hangs. */
const CHILD_REQUEST_TIMEOUT_MS = 15_000;
/** A delivery older than its deadline by this much, with nothing excusing it, is wedged. */
const WEDGED_MARGIN_MS = 60_000;
/** RabbitMQ 4 refuses larger messages; a larger image is named in the event instead. */
const MAX_REPLY_BYTES = 15 * 1_048_576;

export interface WorkerOptions {
  filter: string;
  prefix: string;
  /** Says on events and dead letters who did it. */
  name: string;
  broker: Broker;
  child: Child;
  metrics: Metrics;
  tracing: Tracing;
  log: Logger;
  taskTimeoutMs: number;
  retryDelaysMs: number[];
  crashLimit: number;
  knownFilters: () => string[];
  /** Told when a task is taken and when none is in hand. */
  onBusy?: (busy: boolean) => void;
}

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

type Failed = Extract<StepResult, { kind: 'failed' }>;

/** A delivery whose message could be read. */
interface Work {
  delivery: Delivery;
  task: Task;
  hop: Hop;
  span: Span;
  log: Logger;
  queueMs: number | null;
}

export function startWorker(options: WorkerOptions): Worker {
  const { filter, broker, child, metrics } = options;
  const outbox = createOutbox(broker, options.prefix);
  let inHand: { delivery: Delivery; done: Promise<void>; sinceMs: number; timeoutMs: number } | undefined;
  let givingBack = false;

  const consumer = broker.consume(names(options.prefix).queue(filter), (delivery) => {
    failpoint('received');
    const done = handle(delivery).finally(() => {
      inHand = undefined;
      metrics.inFlight(filter, -1);
      options.onBusy?.(false);
    });
    inHand = { delivery, done, sinceMs: performance.now(), timeoutMs: options.taskTimeoutMs };
    metrics.inFlight(filter, 1);
    options.onBusy?.(true);
  });

  return {
    filter,
    get consuming() {
      return consumer.consuming;
    },
    get busy() {
      return inHand !== undefined;
    },
    get wedged() {
      const overdue =
        inHand !== undefined && performance.now() - inHand.sinceMs > inHand.timeoutMs + WEDGED_MARGIN_MS;
      return overdue && broker.state.publish === 'connected' && broker.state.blocked === undefined;
    },
    async drain() {
      await consumer.cancel();
      await inHand?.done;
    },
    async giveBack() {
      givingBack = true;
      child.kill();
      await inHand?.done;
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
    const unit: Work = { delivery, task, hop, span, log, queueMs };
    outbox.eventLater(eventOf(unit, 'started', { attempt: hop.attempt, worker: options.name }));
    const start = performance.now();
    const result = await child.run(jobOf(unit), timeoutOf(task));
    const workMs = performance.now() - start;
    try {
      await follow(unit, result, workMs);
    } finally {
      span.end(result.kind === 'failed' ? result.message : undefined);
    }
  }

  async function follow(unit: Work, result: StepResult, workMs: number): Promise<void> {
    if (givingBack && result.kind === 'failed') return await handBack(unit);
    switch (result.kind) {
      case 'stepped':
        measure(result.timings, result.bytesIn, result.bytesOut);
        return await nextStep(unit, workMs, result.timings);
      case 'completed':
        measure(result.timings, result.bytesIn, result.bytesOut);
        return await finish(unit, result, 'completed');
      case 'ended':
        return await finish(unit, result, result.ended.outcome === 'cancelled' ? 'cancelled' : 'repeated');
      case 'restart':
        return await restart(unit);
      case 'failed':
        return await failed(unit, result);
    }
  }

  async function nextStep(unit: Work, workMs: number, timings: Timings): Promise<void> {
    const { task, hop, log } = unit;
    const record = { filter, attempt: hop.attempt, queue_ms: unit.queueMs, work_ms: Math.round(workMs) };
    const next: Hop = {
      ...hop,
      step: hop.step + 1,
      attempt: 0,
      publishedMs: Date.now(),
      submittedMs: submitted(unit),
      firstFailedMs: null,
      history: [...hop.history, record],
    };
    const following = task.steps[next.step]!.filter;
    const message = outbox.toStep(withTrace(unit), task, next, following);
    if (!(await routed(unit, message, following))) return;
    outbox.eventLater(
      eventOf(unit, 'step-completed', {
        ...record,
        next: following,
        timings_ms: rounded(timings),
        worker: options.name,
      }),
    );
    acknowledge(unit, 'completed');
    log.info({ filter, work_ms: record.work_ms, queue_ms: unit.queueMs, next: following }, 'step completed');
  }

  /** Ends the task for its publisher: the final event and the reply are confirmed before the acknowledgement. */
  async function finish(
    unit: Work,
    result: Extract<StepResult, { ended: Ended }>,
    outcome: 'completed' | 'cancelled' | 'repeated',
  ): Promise<void> {
    const { delivery, task, log } = unit;
    const { ended, image } = result;
    const event = endedEvent(unit, ended);
    const fits =
      image !== undefined && ended.outcome === 'completed' && image.bytes.length <= MAX_REPLY_BYTES;
    const messages = [outbox.event(event), ...outbox.reply(delivery, event, fits ? image : undefined)];
    // A worker that died between marker and dead letter left the letter to whoever comes next.
    if (ended.outcome === 'failed' && delivery.redelivered)
      messages.push(
        outbox.toDead(delivery, {
          ...deathOf(unit),
          failureType: String(ended.data.failure_type),
          reason: String(ended.data.failure_reason),
        }),
      );
    if (!(await outbox.surely(delivery, ...messages))) return;
    const leftovers = task.steps.length > 1 || delivery.headers[HEADERS.recorded] === true;
    if (leftovers && ended.outcome !== 'failed') await child.clean(task.id, CHILD_REQUEST_TIMEOUT_MS);
    acknowledge(unit, outcome);
    log.info(
      {
        filter,
        outcome: ended.outcome,
        repeat: outcome === 'repeated',
        output: (ended.data.output as { key?: string } | undefined)?.key,
      },
      'task ended',
    );
  }

  /** Somebody removed the image between two steps: the task begins again rather than being lost. */
  async function restart(unit: Work): Promise<void> {
    const { task, hop } = unit;
    if (hop.inline) {
      const message = `The image that step ${hop.step - 1} left for step ${hop.step} is gone from the storage, and the original came inside the first message.`;
      return await failed(unit, {
        kind: 'failed',
        consequence: 'reject',
        failureType: 'input-not-found',
        message,
      });
    }
    unit.log.warn({ filter }, 'the image between two steps is gone; the task begins again');
    const first: Hop = { ...hop, step: 0, attempt: 0, publishedMs: Date.now(), history: [] };
    const message = outbox.toStep(withTrace(unit), task, first, task.steps[0]!.filter);
    if (await routed(unit, message, task.steps[0]!.filter)) acknowledge(unit, 'restarted');
  }

  async function failed(unit: Work, failure: Failed): Promise<void> {
    const { delivery, task, hop, log } = unit;
    const delayMs = options.retryDelaysMs[hop.attempt];
    if (failure.consequence === 'reject' || delayMs === undefined) return await giveUp(unit, failure);
    const reason = { failure_type: failure.failureType, failure_reason: failure.message };
    const next: Hop = {
      ...hop,
      attempt: hop.attempt + 1,
      publishedMs: Date.now() + delayMs,
      submittedMs: submitted(unit),
      firstFailedMs: hop.firstFailedMs ?? Date.now(),
    };
    if (!(await outbox.surely(delivery, outbox.toRetry(withTrace(unit), task, next, filter, delayMs))))
      return;
    outbox.eventLater(
      eventOf(unit, 'retrying', {
        ...reason,
        attempt: hop.attempt + 1,
        delay_ms: delayMs,
        worker: options.name,
      }),
    );
    acknowledge(unit, 'retried');
    log.warn(
      { filter, ...reason, attempt: hop.attempt + 1, delay_ms: delayMs, stack: failure.stack },
      'step failed; it will be tried again',
    );
  }

  /** The end of a task that cannot succeed: marker, dead letter, final event, acknowledgement. */
  async function giveUp(unit: Work, failure: Failed): Promise<void> {
    const { delivery, task, hop, log } = unit;
    const attempts = hop.attempt + 1;
    const retried = failure.consequence === 'retry' ? ` (given up after ${attempts} attempts)` : '';
    const data = {
      failure_type: failure.failureType,
      failure_reason: failure.message + retried,
      attempts,
      worker: options.name,
    };
    const mine: Ended = {
      task_id: task.id,
      generation: hop.generation,
      fingerprint: task.fingerprint,
      outcome: 'failed',
      time: new Date().toISOString(),
      data,
    };
    const reused = failure.failureType === 'task-id-reused';
    const ended = reused ? mine : ((await child.fail(mine, CHILD_REQUEST_TIMEOUT_MS)) ?? mine);
    if (ended.outcome !== 'failed') return await finish(unit, { kind: 'ended', ended }, 'repeated');
    const event = endedEvent(unit, mine);
    const letter = outbox.toDead(delivery, {
      ...deathOf(unit),
      failureType: failure.failureType,
      reason: data.failure_reason,
    });
    // The other task that owns this id has told its own end.
    const telling = reused ? [] : [outbox.event(event)];
    if (!(await outbox.surely(delivery, letter, ...telling, ...outbox.reply(delivery, event)))) return;
    acknowledge(unit, 'failed');
    log.error({ filter, ...data, stack: failure.stack }, 'task failed');
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
    const taskId = String(delivery.headers['darkroom-id'] ?? delivery.properties.messageId ?? 'unknown');
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

  async function poison(delivery: Delivery): Promise<void> {
    const message = `This message was given to a worker ${delivery.deliveryCount} times and each time the worker died or lost the broker before it could finish; it is set aside so that it stops taking workers down.`;
    await bury(delivery, new Rejection(message, { failureType: 'poison' }));
  }

  async function forward(delivery: Delivery, task: Task, hop: Hop, due: string): Promise<void> {
    if (!options.knownFilters().includes(due)) {
      const known = options.knownFilters().join(', ');
      const message = `steps[${hop.step}].filter: expected one of ${known}, got "${due}".`;
      return await bury(delivery, new Rejection(message, { failureType: 'unknown-filter' }));
    }
    if (!(await outbox.surely(delivery, outbox.again(delivery, due)))) return;
    delivery.ack();
    metrics.task(filter, 'forwarded');
    options.log.info({ filter, to: due, task: task.id }, 'task forwarded to its own queue');
  }

  /** At the drain deadline: a fresh copy for another worker, because a requeue may count as a failure. */
  async function handBack(unit: Work): Promise<void> {
    const { delivery, log } = unit;
    const given = await outbox.surely(delivery, outbox.again(delivery, filter)).catch(() => false);
    if (given) delivery.ack();
    else delivery.nack(true);
    metrics.task(filter, 'given-back');
    log.warn({ filter }, 'the worker must stop: task given back');
  }

  /** @returns false when the message could not be routed (then it is retried) or the delivery is gone. */
  async function routed(unit: Work, message: ReturnType<typeof outbox.toStep>, to: string): Promise<boolean> {
    try {
      return await outbox.surely(unit.delivery, message);
    } catch (error) {
      if (!(error instanceof Unroutable)) throw error;
      await failed(unit, {
        kind: 'failed',
        consequence: 'retry',
        failureType: 'network',
        message: `There is no queue for the next step's filter "${to}". Declare it with: darkroom queues declare`,
      });
      return false;
    }
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

  function acknowledge(unit: Work, outcome: string): void {
    failpoint('confirmed');
    unit.delivery.ack();
    metrics.task(filter, outcome);
    failpoint('acked');
  }

  function measure(timings: Timings, bytesIn: number, bytesOut: number): void {
    for (const phase of ['fetch', 'decode', 'filter', 'encode', 'store'] as const)
      metrics.phase(filter, phase, timings[phase]);
    metrics.bytes(filter, 'in', bytesIn);
    metrics.bytes(filter, 'out', bytesOut);
  }

  function jobOf(unit: Work): Job {
    const { delivery, task, hop } = unit;
    const image = hop.inline && hop.step === 0 ? delivery.body : undefined;
    const wantsImage = hop.inline && Boolean(delivery.properties.replyTo);
    const about = {
      worker: options.name,
      attempts: hop.attempt + 1,
      submitted_at: new Date(submitted(unit)).toISOString(),
    };
    const waitingSinceMs = hop.submittedMs ?? hop.firstFailedMs;
    return {
      task,
      step: hop.step,
      generation: hop.generation,
      attempt: hop.attempt,
      wantsImage,
      waitingSinceMs,
      history: hop.history,
      queueMs: unit.queueMs,
      about,
      ...(image !== undefined && { image }),
    };
  }

  function timeoutOf(task: Task): number {
    return Math.min(options.taskTimeoutMs, task.timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  function eventOf(
    unit: Work,
    type: EventType,
    data: Record<string, unknown>,
    time = new Date().toISOString(),
  ): TaskEvent {
    const { task, hop, span } = unit;
    return {
      type,
      taskId: task.id,
      step: hop.step,
      generation: hop.generation,
      attempt: hop.attempt,
      filter,
      time,
      data,
      traceparent: span.traceparent,
    };
  }

  /** The same from whichever copy of the task it is told. */
  function endedEvent(unit: Work, ended: Ended): TaskEvent {
    const type = ended.outcome === 'completed' ? 'completed' : 'failed';
    return {
      ...eventOf(unit, type, { outcome: ended.outcome, ...ended.data }, ended.time),
      generation: ended.generation,
    };
  }

  function deathOf(unit: Work) {
    return { filter, worker: options.name, task: unit.task, hop: unit.hop };
  }

  function submitted(unit: Work): number {
    return unit.hop.submittedMs ?? unit.delivery.receivedAtMs;
  }
}

/** The delivery with this hop's trace context in place of the one it came with. */
function withTrace({ delivery, span }: Work): Incoming {
  const { body, properties, headers } = delivery;
  return {
    body,
    properties,
    headers: span.traceparent === undefined ? headers : { ...headers, traceparent: span.traceparent },
  };
}

function rounded(timings: Timings): Record<string, number> {
  return Object.fromEntries(Object.entries(timings).map(([phase, ms]) => [phase, Math.round(ms * 10) / 10]));
}
