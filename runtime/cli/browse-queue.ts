/** Goes through a queue message by message without a consumer: what is not taken goes back where it was. */
import type { Broker, Delivery } from '../amqp/broker.ts';
import { sendableProperties } from '../amqp/sendable-properties.ts';

export interface GotMessage {
  body: Buffer;
  properties: Delivery['properties'];
  fields: { exchange: string; routingKey: string };
}

/** What becomes of a message, and whether to go on with the next. */
export type BrowseVerdict = 'keep' | 'take' | 'stop' | 'take-and-stop';

/**
 * Calls `visit` with each message that is in `queue` now, oldest first. Kept messages are held until the end, so
 * that none is seen twice; closing the channel then gives them back in their order.
 */
export async function browseQueue(
  broker: Broker,
  queue: string,
  visit: (message: GotMessage) => Promise<BrowseVerdict>,
): Promise<void> {
  await broker.withChannel(async (channel) => {
    const { messageCount } = await channel.checkQueue(queue);
    for (let seen = 0; seen < messageCount; seen++) {
      const got = await channel.get(queue);
      if (got === false) return;
      const properties = sendableProperties(got.properties);
      const verdict = await visit({ body: got.content, properties, fields: got.fields });
      if (verdict === 'take' || verdict === 'take-and-stop') channel.ack(got);
      if (verdict === 'stop' || verdict === 'take-and-stop') break;
    }
  });
}
