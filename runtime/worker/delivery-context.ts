/** A worker's means, and one delivery in its hands: what is said of it to the child, in events, in dead letters. */
import type { Logger } from 'pino';
import type { Broker, Delivery } from '../amqp/broker.ts';
import type { EventType, TaskEvent } from '../task/events.ts';
import type { Hop, Task } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Span, Tracing } from '../telemetry/tracing.ts';
import type { Child } from './child-process.ts';
import type { DeathNote, Incoming } from './outbox.ts';
import type { Job } from './protocol.ts';

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

export interface Work {
  /** The filter whose queue it came from, and the worker that has it. */
  filter: string;
  worker: string;
  delivery: Delivery;
  task: Task;
  hop: Hop;
  span: Span;
  log: Logger;
  /** How long it waited, milliseconds; null when its publisher did not say since when. */
  queueMs: number | null;
}

export function jobOf(unit: Work): Job {
  const { delivery, task, hop } = unit;
  const image = hop.inline && hop.step === 0 ? delivery.body : undefined;
  const wantsImage = hop.inline && Boolean(delivery.properties.replyTo);
  const about = {
    worker: unit.worker,
    attempts: hop.attempt + 1,
    submitted_at: new Date(submittedMs(unit)).toISOString(),
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

export function eventOf(
  unit: Work,
  type: EventType,
  data: Record<string, unknown>,
  time = new Date().toISOString(),
): TaskEvent {
  const { filter, task, hop, span } = unit;
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
export function endedEvent(unit: Work, ended: TaskMarker): TaskEvent {
  const type = ended.outcome === 'completed' ? 'completed' : 'failed';
  return {
    ...eventOf(unit, type, { outcome: ended.outcome, ...ended.data }, ended.time),
    generation: ended.generation,
  };
}

/** Who set it aside, for a dead letter; the reason is the caller's. */
export function deathOf({ filter, worker, task, hop }: Work): Omit<DeathNote, 'failureType' | 'reason'> {
  return { filter, worker, task, hop };
}

/** When the task was first published, as well as is known; epoch ms. */
export function submittedMs({ hop, delivery }: Work): number {
  return hop.submittedMs ?? delivery.receivedAtMs;
}

/** The delivery with this hop's trace context in place of the one it came with. */
export function withTrace({ delivery, span }: Work): Incoming {
  const { body, properties, headers } = delivery;
  return {
    body,
    properties,
    headers: span.traceparent === undefined ? headers : { ...headers, traceparent: span.traceparent },
  };
}
