/** What is known of one delivery: plain data, from which its job, its events and what follows are made. */
import type { Delivery } from '../amqp/broker.ts';
import type { EventType, TaskEvent } from '../task/events.ts';
import type { Hop, StepRecord } from '../task/hop.ts';
import type { Task } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import type { CarryMode } from './carry.ts';
import type { Job } from './protocol.ts';

/** What the messages that follow a delivery are made from. */
export interface Incoming extends Pick<Delivery, 'body' | 'properties' | 'headers'> {
  /** Of a message that is not our own: how often its task was begun anew for that. */
  doubts?: number;
}

/** A step that is due, and the filter that does it. */
interface Due {
  filter: string;
  hop: Hop;
}

export interface DeliveryContext extends Due {
  /** As it came from its queue, when the steps up to the present one were carried. */
  delivered: Due;
  /** The worker that has it. */
  worker: string;
  delivery: Incoming & Pick<Delivery, 'redelivered' | 'receivedAtMs'>;
  task: Task;
  /** Of this hop's span; undefined when the task is not traced. */
  traceparent: string | undefined;
  /** How long it waited, milliseconds; null when its publisher did not say since when. */
  queueMs: number | null;
}

export function jobOf(context: DeliveryContext, carry: CarryMode): Job {
  const { delivery, task, hop, delivered } = context;
  const image = hop.inline && hop.step === 0 ? delivery.body : undefined;
  const about = {
    worker: context.worker,
    attempts: hop.attempt + 1,
    submitted_at: new Date(submittedMs(context)).toISOString(),
  };
  const isRepeat = isRepeated(context);
  return {
    task,
    step: hop.step,
    fromStep: delivered.hop.step,
    mayHavePromised: delivered.hop.mayHavePromised,
    carry: isRepeat ? 'none' : carry,
    generation: hop.generation,
    attempt: hop.attempt,
    isRepeat,
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

/** An earlier delivery of the same message, or an earlier try, may have done some of the work. */
export function isRepeated({ delivered: { hop }, delivery }: DeliveryContext): boolean {
  return delivery.redelivered || hop.attempt > 0 || hop.wasGivenBack || hop.restarts > 0;
}

/** Whether a marker that promises a result must be of another copy of the task. */
export function hasNotPromised({ delivered: { hop }, delivery }: DeliveryContext): boolean {
  const isFirst = hop.attempt === 0 && hop.restarts === 0;
  return (isFirst || hop.hasNotPromised) && !delivery.redelivered && !hop.wasGivenBack;
}

/** When the task was first published, as well as is known; epoch ms. */
export function submittedMs({ hop, delivery }: DeliveryContext): number {
  return hop.submittedMs ?? delivery.receivedAtMs;
}

/** The next step of the same delivery, on the image in the worker's memory. */
export function carriedOn(
  context: DeliveryContext,
  record: StepRecord,
  traceparent?: string,
): DeliveryContext {
  const hop = nextHop(context, record, null);
  return { ...context, filter: context.task.steps[hop.step]!.filter, hop, traceparent, queueMs: 0 };
}

/** The same delivery as it came, from which a repeat starts. */
export function asDelivered(context: DeliveryContext): DeliveryContext {
  return { ...context, ...context.delivered };
}

/** What is remembered of a step that is done. */
export function recordOf({ filter, hop, queueMs, delivered }: DeliveryContext, workMs: number): StepRecord {
  const carried = hop.step > delivered.hop.step && { carried: true as const };
  return { filter, attempt: hop.attempt, queue_ms: queueMs, work_ms: Math.round(workMs), ...carried };
}

/** The hop of the next step. @param publishedMs epoch ms; null when it is carried */
export function nextHop(context: DeliveryContext, record: StepRecord, publishedMs: number | null): Hop {
  const { step, history } = context.hop;
  return followingHop(context, {
    step: step + 1,
    attempt: 0,
    mayHavePromised: context.hop.mayHavePromised || isRepeated(context),
    publishedMs,
    firstFailedMs: null,
    history: [...history, record],
  });
}

/** The hop of a message that follows this delivery; what changes with it comes on top. */
export function followingHop(context: DeliveryContext, change: Partial<Hop>): Hop {
  const { hop, delivery } = context;
  const seenMs = hop.seenMs ?? delivery.receivedAtMs;
  return {
    ...hop,
    wasGivenBack: false,
    isSuspect: false,
    submittedMs: submittedMs(context),
    seenMs,
    ...change,
  };
}
