/** What is known of one delivery: plain data, from which its job, its events and what follows are made. */
import type { Delivery } from '../amqp/broker.ts';
import type { EventType, TaskEvent } from '../task/events.ts';
import type { Hop } from '../task/hop.ts';
import type { Task } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import type { Job } from './protocol.ts';

/** What the messages that follow a delivery are made from. */
export interface Incoming extends Pick<Delivery, 'body' | 'properties' | 'headers'> {
  /** Of a message that is not our own: how often its task was begun anew for that. */
  doubts?: number;
}

export interface DeliveryContext {
  /** The filter whose queue it came from, and the worker that has it. */
  filter: string;
  worker: string;
  delivery: Incoming & Pick<Delivery, 'redelivered' | 'receivedAtMs'>;
  task: Task;
  hop: Hop;
  /** Of this hop's span; undefined when the task is not traced. */
  traceparent: string | undefined;
  /** How long it waited, milliseconds; null when its publisher did not say since when. */
  queueMs: number | null;
}

export function jobOf(context: DeliveryContext): Job {
  const { delivery, task, hop } = context;
  const image = hop.inline && hop.step === 0 ? delivery.body : undefined;
  const about = {
    worker: context.worker,
    attempts: hop.attempt + 1,
    submitted_at: new Date(submittedMs(context)).toISOString(),
  };
  return {
    task,
    step: hop.step,
    generation: hop.generation,
    attempt: hop.attempt,
    isRepeat: delivery.redelivered || hop.attempt > 0 || hop.wasGivenBack || hop.restarts > 0,
    isRestart: hop.restarts > 0,
    hasNotPromised: hasNotPromised(context),
    wantsImage: hop.inline && Boolean(delivery.properties.replyTo),
    waitingSinceMs: hop.seenMs,
    history: hop.history,
    queueMs: context.queueMs,
    about,
    ...(image !== undefined && { image }),
  };
}

export function eventOf(
  { filter, task, hop, traceparent }: DeliveryContext,
  type: EventType,
  data: Record<string, unknown>,
  time = new Date().toISOString(),
): TaskEvent {
  return {
    type,
    taskId: task.id,
    step: hop.step,
    generation: hop.generation,
    attempt: hop.attempt,
    filter,
    time,
    data,
    traceparent,
  };
}

/** The final event; every copy of the task tells the same. */
export function finalEventOf(context: DeliveryContext, marker: TaskMarker): TaskEvent {
  const type = marker.outcome === 'completed' ? 'completed' : 'failed';
  return {
    ...eventOf(context, type, { outcome: marker.outcome, ...marker.data }, marker.time),
    generation: marker.generation,
  };
}

/** Whether a marker that promises a result must be of another copy of the task. */
export function hasNotPromised({ hop, delivery }: DeliveryContext): boolean {
  const isFirst = hop.attempt === 0 && hop.restarts === 0;
  return (isFirst || hop.hasNotPromised) && !delivery.redelivered && !hop.wasGivenBack;
}

/** When the task was first published, as well as is known; epoch ms. */
export function submittedMs({ hop, delivery }: DeliveryContext): number {
  return hop.submittedMs ?? delivery.receivedAtMs;
}

/** The hop of a message that follows this delivery; what changes with it comes on top. */
export function followingHop(context: DeliveryContext, change: Partial<Hop>): Hop {
  const { hop, delivery } = context;
  const seenMs = hop.seenMs ?? delivery.receivedAtMs;
  return { ...hop, wasGivenBack: false, submittedMs: submittedMs(context), seenMs, ...change };
}
