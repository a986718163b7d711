import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect } from 'amqplib';
import { expect, test } from 'vitest';
import { socketOf, writeThrough } from '../../../runtime/amqp/amqplib-internals.ts';
import { tolerateDeepHeaders } from '../../../runtime/amqp/sendable-properties.ts';
import { openTestBroker, testBroker, testQueue, uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

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

test('receives a message whose headers are nested too deeply, without them', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  await publishDeepHeader(queue.name, 5_000);
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('next'), mandatory: true });
  const received: [string, string[]][] = [];

  broker.consume(queue.name, (delivery) => {
    received.push([delivery.body.toString(), Object.keys(delivery.headers)]);
    delivery.ack();
  });

  await until(() => received.length === 2, 'both messages');
  expect(received).toEqual([
    ['deep', []],
    ['next', []],
  ]);
});

/** amqplib encodes by calling itself too, so this takes a process with a larger stack. */
async function publishDeepHeader(queue: string, depth: number): Promise<void> {
  const script = `
    import { connect } from 'amqplib';
    const model = await connect(${JSON.stringify(amqpUrl)});
    const channel = await model.createConfirmChannel();
    let deep = 1;
    for (let level = 0; level < ${depth}; level++) deep = [deep];
    channel.sendToQueue('${queue}', Buffer.from('deep'), { headers: { deep } });
    await channel.waitForConfirms();
    await model.close();`;
  const flags = ['--stack-size=6000', '--input-type=module', '--eval', script];
  await promisify(execFile)(process.execPath, flags);
}

test('leaves an amqplib that looks otherwise alone', () => {
  expect(() => writeThrough({} as never)).not.toThrow();
  expect(() => tolerateDeepHeaders({} as never)).not.toThrow();
  expect(socketOf({} as never)).toBeUndefined();
});
