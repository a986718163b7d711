/** One message in hand, settled at most once and only on the channel that delivered it. */

import type { Channel, ConsumeMessage } from 'amqplib';
import { carryableProperties } from './sendable-properties.ts';
import type { Delivery } from './types.ts';

/** The channel's life: a delivery tag means nothing, or another message, on any other channel. */
export interface Settling {
  readonly channel: Channel;
  open: boolean;
}

export function createDelivery(life: Settling, message: ConsumeMessage): Delivery {
  const { redelivered } = message.fields;
  const properties = carryableProperties(message.properties);
  const headers: Record<string, unknown> = properties.headers ?? {};
  // With a first delivery the header can only be its publisher's.
  const count = redelivered ? headers['x-delivery-count'] : 0;
  let settled = false;

  function settle(send: () => void): boolean {
    if (settled || !life.open) return false;
    settled = true;
    try {
      send();
      return true;
    } catch {
      // The channel has closed in this very moment; the broker delivers the message again.
      return false;
    }
  }

  return {
    body: message.content,
    properties,
    headers,
    routingKey: message.fields.routingKey,
    exchange: message.fields.exchange,
    redelivered,
    deliveryCount: typeof count === 'number' ? count : 0,
    receivedAtMs: Date.now(),
    get alive() {
      return !settled && life.open;
    },
    ack: () => settle(() => life.channel.ack(message)),
    nack: (requeue) => settle(() => life.channel.nack(message, false, requeue)),
    reject: (requeue) => settle(() => life.channel.reject(message, requeue)),
  };
}
