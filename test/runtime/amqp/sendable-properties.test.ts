import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import {
  fittingHeaders,
  sendableProperties,
  tolerateDeepHeaders,
} from '../../../runtime/amqp/sendable-properties.ts';
import { openTestBroker, testBroker, testQueue } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

/** As a delivery brings them. */
function received(properties: object) {
  return sendableProperties({ headers: {}, ...properties } as Parameters<typeof sendableProperties>[0]);
}

test('keeps what can be sent on as it is', () => {
  const headers = {
    text: 'a',
    none: null,
    whole: 2 ** 40,
    negative: -(2 ** 63),
    share: 0.5,
    bytes: Buffer.from('b'),
    list: [1, { deeper: true }],
    time: { '!': 'timestamp', value: 1_700_000_000 },
    price: { '!': 'decimal', value: { places: 2, digits: 199 } },
  };

  expect(received({ headers, messageId: 'm', timestamp: 5 })).toMatchObject({
    headers,
    messageId: 'm',
    timestamp: 5,
  });
});

test.each([-1e30, 2 ** 50 + 0.25, -1_983_992_486_444_124.2])('says of %d that it is a double', (value) => {
  expect(received({ headers: { value } }).headers).toEqual({ value: { '!': 'double', value } });
});

test('leaves out what cannot be sent on', () => {
  const headers = {
    kept: 1,
    lookalike: { '!': 'nonsense', value: 1 },
    late: { '!': 'timestamp', value: 2 ** 64 },
    list: [{ '!': 1 }, 2],
    nan: Number.NaN,
  };

  const sendable = received({ headers, messageId: '\ufffd'.repeat(100), timestamp: 2 ** 64 });

  expect(sendable.headers).toEqual({ kept: 1, list: [2] });
  expect([sendable.messageId, sendable.timestamp]).toEqual([undefined, undefined]);
});

test('leaves out what is nested beyond reason', () => {
  let deep: unknown = 1;
  for (let level = 0; level < 2_000; level++) deep = level % 2 === 0 ? [deep] : { deep };

  const { headers } = received({ headers: { deep, flat: 1 } });

  expect(JSON.stringify(headers).length).toBeLessThan(1_000);
  expect(headers).toMatchObject({ flat: 1 });
});

test('leaves out a request for a direct reply that RabbitMQ has given no address', () => {
  expect(received({ replyTo: 'amq.rabbitmq.reply-to' }).replyTo).toBeUndefined();
  expect(received({ replyTo: 'amq.rabbitmq.reply-to.g1h2' }).replyTo).toBe('amq.rabbitmq.reply-to.g1h2');
});

test('leaves headers that fit as they are', () => {
  const headers = { text: 'x'.repeat(65_000), small: 1 };

  expect(fittingHeaders(headers)).toBe(headers);
});

test('leaves out the largest headers until the rest fits, says so, and keeps our own', () => {
  const headers = {
    'x-small': 1,
    'x-large': 'x'.repeat(20_000),
    'x-larger': ['x'.repeat(20_000), 'x'.repeat(10_000)],
    'darkroom-steps': 'x'.repeat(40_000),
    traceparent: 'x'.repeat(2_000),
  };

  const { 'x-large': _, 'x-larger': __, ...kept } = headers;
  expect(fittingHeaders({ ...headers, 'x-large': 'x' })).toEqual({
    ...kept,
    'x-large': 'x',
    'darkroom-left-out': 'x-larger',
  });
  expect(fittingHeaders({ ...headers, 'x-large': 'é'.repeat(12_000) })).toEqual({
    ...kept,
    'darkroom-left-out': 'x-larger, x-large',
  });
});

test('leaves out even our own when they alone are too much, and remembers what was left out before', () => {
  const headers = { 'darkroom-steps': 'x'.repeat(70_000), 'darkroom-id': 'a', 'darkroom-left-out': 'x-old' };

  expect(fittingHeaders(headers)).toEqual({
    'darkroom-id': 'a',
    'darkroom-left-out': 'x-old, darkroom-steps',
  });
});

test('sends whatever headers fit by its own count', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const values = [
    1,
    300,
    70_000,
    2 ** 40,
    0.5,
    true,
    null,
    'é',
    Buffer.from('b'),
    [1, 'a'],
    { deeper: { a: 1 } },
  ];
  const many = Array.from({ length: 4_000 }, (_, index) => [`h${index}`, values[index % values.length]]);

  await broker.publish({
    exchange: '',
    routingKey: queue.name,
    body: Buffer.from('x'),
    properties: { headers: Object.fromEntries(many) },
  });
  for (const bytes of [65_515, 65_520, 65_525, 65_530, 65_536, 100_000]) {
    const headers = { a: 'x'.repeat(bytes) };
    await broker.publish({
      exchange: '',
      routingKey: queue.name,
      body: Buffer.from('x'),
      properties: { headers },
    });
  }

  const counted = await broker.withChannel((channel) => channel.checkQueue(queue.name));
  expect(counted.messageCount).toBe(7);
});

test.each([-1e30, 2 ** 50 + 0.25])('sends on the header %d, which amqplib alone could not', async (value) => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using from = await testQueue(broker);
  await using to = await testQueue(broker);
  const arrived: unknown[] = [];
  broker.consume(from.name, async (delivery) => {
    await broker.publish({
      exchange: '',
      routingKey: to.name,
      body: delivery.body,
      properties: { headers: delivery.headers },
    });
    delivery.ack();
  });
  broker.consume(to.name, (delivery) => {
    arrived.push(delivery.headers.value);
    delivery.ack();
  });

  const headers = { value: { '!': 'double', value } };
  await broker.publish({
    exchange: '',
    routingKey: from.name,
    body: Buffer.from('x'),
    properties: { headers },
  });

  await until(() => arrived.length > 0, 'the message');
  expect(arrived).toEqual([{ '!': 'double', value }]);
});

test('does not believe a publisher about how often its message was delivered', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const counts: number[] = [];
  broker.consume(queue.name, (delivery) => {
    counts.push(delivery.deliveryCount);
    if (counts.length === 1) delivery.reject(true);
    else delivery.ack();
  });

  const headers = { 'x-delivery-count': 999 };
  await broker.publish({
    exchange: '',
    routingKey: queue.name,
    body: Buffer.from('x'),
    properties: { headers },
  });

  await until(() => counts.length > 1, 'the second delivery');
  expect(counts).toEqual([0, 1]);
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

test('leaves an amqplib that receives otherwise alone', () => {
  expect(() => tolerateDeepHeaders({} as never)).not.toThrow();
});
