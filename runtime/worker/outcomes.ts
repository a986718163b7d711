/**
 * What follows a step's result: the next step, the end of the task, a retry, a dead letter. Everything is
 * confirmed by the broker before the delivery is acknowledged.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Unroutable } from '../amqp/broker.ts';
import { HEADERS, type Hop } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import {
  deathOf,
  endedEvent,
  eventOf,
  submittedMs,
  type Work,
  type WorkerOptions,
  withTrace,
} from './delivery-context.ts';
import { failpoint } from './failpoint.ts';
import type { Outbox } from './outbox.ts';
import type { StepResult, Timings } from './protocol.ts';

/** Marker and clean-up requests to the child are small; longer means that the storage hangs. */
const CHILD_REQUEST_TIMEOUT_MS = 15_000;
/** Without its marker, other copies of a task cannot know that it has ended: worth more than one try. */
const MARK_TRIES = 3;
const MARK_RETRY_DELAY_MS = 500;
/** RabbitMQ 4 refuses larger messages; a larger image is named in the event instead. */
const MAX_REPLY_BYTES = 15 * 1_048_576;

type Failed = Extract<StepResult, { kind: 'failed' }>;

export interface Outcomes {
  follow(unit: Work, result: StepResult, workMs: number): Promise<void>;
  /** At the drain deadline: a fresh copy for another worker, because a requeue may count as a failure. */
  handBack(unit: Work): Promise<void>;
}

export function createOutcomes(options: WorkerOptions, outbox: Outbox): Outcomes {
  const { filter, child, metrics } = options;
  return { follow, handBack };

  async function follow(unit: Work, result: StepResult, workMs: number): Promise<void> {
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
      submittedMs: submittedMs(unit),
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
        worker: unit.worker,
      }),
    );
    acknowledge(unit, 'completed');
    log.info({ filter, work_ms: record.work_ms, queue_ms: unit.queueMs, next: following }, 'step completed');
  }

  /** Ends the task for its publisher: the final event and the reply are confirmed before the acknowledgement. */
  async function finish(
    unit: Work,
    result: Extract<StepResult, { ended: TaskMarker }>,
    outcome: 'completed' | 'cancelled' | 'repeated',
  ): Promise<void> {
    const { delivery, task, log } = unit;
    const { ended, image } = result;
    const event = endedEvent(unit, ended);
    const fits =
      image !== undefined && ended.outcome === 'completed' && image.bytes.length <= MAX_REPLY_BYTES;
    const messages = [outbox.event(event), ...outbox.reply(delivery, event, fits ? image : undefined)];
    if (ended.outcome === 'failed' && isLetterOwed(unit, ended))
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
      submittedMs: submittedMs(unit),
      firstFailedMs: hop.firstFailedMs ?? Date.now(),
    };
    if (!(await outbox.surely(delivery, outbox.toRetry(withTrace(unit), task, next, filter, delayMs))))
      return;
    outbox.eventLater(
      eventOf(unit, 'retrying', {
        ...reason,
        attempt: hop.attempt + 1,
        delay_ms: delayMs,
        worker: unit.worker,
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
      step: hop.step,
      failure_type: failure.failureType,
      failure_reason: failure.message + retried,
      attempts,
      worker: unit.worker,
    };
    const mine: TaskMarker = {
      task_id: task.id,
      generation: hop.generation,
      fingerprint: task.fingerprint,
      outcome: 'failed',
      time: new Date().toISOString(),
      data,
    };
    const reused = failure.failureType === 'task-id-reused';
    const ended = reused ? mine : await mark(mine);
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

  /** @returns the marker that stands; the given one when the storage takes none at all. */
  async function mark(ended: TaskMarker): Promise<TaskMarker> {
    for (let tries = 1; ; tries++) {
      const standing = await child.fail(ended, CHILD_REQUEST_TIMEOUT_MS);
      if (standing !== undefined || tries === MARK_TRIES) return standing ?? ended;
      await sleep(MARK_RETRY_DELAY_MS);
    }
  }

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
}

/**
 * A worker that died between marker and dead letter left the letter to whoever comes next: to its own message, given
 * to another worker, or to a later step, when that worker's last words were written after the other had gone on.
 */
function isLetterOwed({ delivery, hop }: Work, ended: TaskMarker): boolean {
  return delivery.redelivered || hop.step > Number(ended.data.step ?? hop.step);
}

function rounded(timings: Timings): Record<string, number> {
  return Object.fromEntries(Object.entries(timings).map(([phase, ms]) => [phase, Math.round(ms * 10) / 10]));
}
