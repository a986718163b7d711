/** CloudEvents 1.0 in JSON: what a task tells the world while it moves. */
import { createHash } from 'node:crypto';

/** Routing keys on the exchange `<prefix>.events` are `task.<type>`. */
export type EventType = 'started' | 'step-completed' | 'retrying' | 'completed' | 'failed';

export const EVENT_CONTENT_TYPE = 'application/cloudevents+json';

/** An event's id is its message's `message_id` too, which AMQP bounds. A broken message may have any id. */
const MAX_MESSAGE_ID_BYTES = 255;

export interface TaskEvent {
  type: EventType;
  taskId: string;
  step: number;
  /** Tells apart what a repeat of the same step says from what a retry or replay says. */
  generation: number;
  attempt: number;
  filter: string;
  /** ISO 8601. */
  time: string;
  data: Record<string, unknown>;
  traceparent?: string | undefined;
}

/** A repeat of the same event has the same id, so that consumers can drop it. */
export function eventId({ taskId, step, type, generation, attempt }: TaskEvent): string {
  const terminal = type === 'completed' || type === 'failed';
  const suffix = `${generation > 0 ? `:g${generation}` : ''}${!terminal && attempt > 0 ? `:a${attempt}` : ''}`;
  const moment = `:${terminal ? 'end' : step}:${type}${suffix}`;
  if (Buffer.byteLength(taskId + moment) <= MAX_MESSAGE_ID_BYTES) return `${taskId}${moment}`;
  return `~${createHash('sha256').update(taskId).digest('hex')}${moment}`;
}

/** The event as structured-mode CloudEvents JSON. */
export function encodeEvent(event: TaskEvent): Buffer {
  const { type, taskId, step, filter, time, data, traceparent } = event;
  return Buffer.from(
    JSON.stringify({
      specversion: '1.0',
      id: eventId(event),
      source: `/darkroom/${filter}`,
      type: `darkroom.task.${type}`,
      subject: taskId,
      time,
      datacontenttype: 'application/json',
      ...(traceparent !== undefined && { traceparent }),
      data: { task_id: taskId, step, filter, ...data },
    }),
  );
}
