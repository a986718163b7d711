/** Task events as an observer of the broker gets them. */

/** A CloudEvent of a task, and the routing key that it came with. */
export interface TaskEventMessage {
  key: string;
  id: string;
  type: string;
  subject: string;
  time: string;
  data: Record<string, unknown>;
  [attribute: string]: unknown;
}

export function eventMessageOf(key: string, body: Buffer): TaskEventMessage {
  return { key, ...JSON.parse(body.toString()) };
}
