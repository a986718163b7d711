/** A message on its way to the broker: how it is made, named in errors and recognised in the broker's answers. */

import type { Options } from 'amqplib';
import { PublishUnknown } from './publish-errors.ts';
import { fittingHeaders } from './sendable-properties.ts';
import type { OutgoingMessage, PublishRequest } from './types.ts';

export interface Entry extends OutgoingMessage {
  properties: Options.Publish;
  /** When it began to wait or, once sent, to wait for its confirm (ms, monotonic). */
  sinceMs: number;
  /** Came back by mandatory return; its confirm follows. */
  returned: string | undefined;
  settle(error?: Error): void;
}

let made = 0;

export function toEntry(request: PublishRequest, settle: Entry['settle']): Entry {
  const { exchange, routingKey, body, mandatory = false } = request;
  const properties: Options.Publish = { persistent: true, ...request.properties, mandatory };
  if (properties.headers !== undefined) properties.headers = fittingHeaders(properties.headers);
  // A return is matched by message id, so a mandatory message needs one.
  if (mandatory && properties.messageId === undefined) properties.messageId = `${process.pid}-${++made}`;
  return { exchange, routingKey, body, properties, sinceMs: performance.now(), returned: undefined, settle };
}

export function place({ exchange, routingKey }: OutgoingMessage): string {
  return exchange === ''
    ? `a message to queue '${routingKey}'`
    : `a message to exchange '${exchange}' with key '${routingKey}'`;
}

export function unknown(why: string): PublishUnknown {
  return new PublishUnknown(`sent, but not confirmed: ${why}`);
}

/** RabbitMQ's texts name the exchange that is missing or closed to us (404, 403) or the size that is too large (406). */
export function causedBy(
  { exchange, body }: OutgoingMessage,
  { code, message }: Error & { code?: number },
): boolean {
  if (code === 404 || code === 403) return message.includes(`exchange '${exchange}'`);
  return code === 406 && message.includes(`message size ${body.length} `);
}
