import { connect } from 'amqplib';
import { expect, test } from 'vitest';
import { socketOf, writeThrough } from '../../../runtime/amqp/amqplib-internals.ts';
import { testBroker, uniqueName } from '../../support/rabbit.ts';

const { amqpUrl } = await testBroker();

test('writes acks and publishes to the socket within the call', async () => {
  const model = await connect(amqpUrl, { noDelay: true });
  const socket = socketOf(model) as unknown as { bytesWritten: number };
  const channel = await model.createConfirmChannel();
  writeThrough(channel);
  const { queue } = await channel.assertQueue(uniqueName(), { exclusive: true });
  const sent = (send: () => void) => {
    const before = socket.bytesWritten;
    send();
    return socket.bytesWritten - before;
  };

  const small = sent(() => channel.sendToQueue(queue, Buffer.alloc(100)));
  const large = sent(() => channel.sendToQueue(queue, Buffer.alloc(300_000)));
  await channel.waitForConfirms();
  const message = await channel.get(queue);
  const ack = sent(() => message && channel.ack(message));
  await model.close();

  expect(small).toBeGreaterThan(100);
  expect(large).toBeGreaterThan(300_000);
  expect(ack).toBe(21);
});

test('leaves an amqplib that looks otherwise alone', () => {
  expect(() => writeThrough({} as never)).not.toThrow();
  expect(socketOf({} as never)).toBeUndefined();
});
