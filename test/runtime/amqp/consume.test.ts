import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Delivery } from '../../../runtime/amqp/broker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { openTestBroker, takeOne, testBroker, testQueue } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

test('delivers one message at a time, the next one after the ack', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({
    exchange: '',
    routingKey: queue.name,
    body: Buffer.from('1'),
    properties: { headers: { h: 7 } },
  });
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('2') });
  const first = await until(() => inHand[0], 'the first delivery');

  expect(inHand).toHaveLength(1);
  expect(first).toMatchObject({
    headers: { h: 7 },
    redelivered: false,
    deliveryCount: 0,
    alive: true,
    exchange: '',
  });
  expect(first.ack()).toBe(true);

  const second = await until(() => inHand[1], 'the second delivery');
  expect(second.body.toString()).toBe('2');
  expect(second.ack()).toBe(true);
});

test('settles what it was handed, also when it is cancelled while it is being set up', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const put = () => broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  await put();
  const taken: { redelivered: boolean; acked: boolean }[] = [];
  for (let round = 0; round < 60; round++) {
    const before = taken.length;
    const inHand: Delivery[] = [];
    const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
    await sleep(round / 10);
    await consumer.cancel();
    for (const delivery of inHand) taken.push({ redelivered: delivery.redelivered, acked: delivery.ack() });
    await consumer.close();
    if (taken.length > before) await put();
  }

  expect(taken.length).toBeGreaterThan(0);
  expect(taken.filter(({ redelivered, acked }) => redelivered || !acked)).toEqual([]);
});

test('holds as many messages as it has consumers, over one connection', async () => {
  await using proxy = await startFaultProxy(amqpUrl);
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const slots = [0, 1, 2].map(() => {
    const inHand: Delivery[] = [];
    const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
    return { inHand, consumer };
  });
  await until(() => slots.every(({ consumer }) => consumer.consuming), 'all to consume');
  for (const body of ['1', '2', '3', '4'])
    await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from(body) });
  await until(() => slots.every(({ inHand }) => inHand.length === 1), 'one in each hand');

  const [first, second, third] = slots;
  await second!.consumer.close();
  expect(first!.inHand[0]!.ack()).toBe(true);

  await until(() => first!.inHand.length === 2, 'the next message of the first');
  expect([first!.inHand[1]!.alive, third!.inHand[0]!.alive]).toEqual([true, true]);
  expect(second!.inHand[0]!.ack()).toBe(false);
  expect(proxy.accepted).toBe(2);
});

test('settles a delivery only once', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  const delivery = await until(() => inHand[0], 'the delivery');

  expect(delivery.ack()).toBe(true);
  expect([delivery.ack(), delivery.nack(true), delivery.reject(false), delivery.alive]).toEqual([
    false,
    false,
    false,
    false,
  ]);

  // A second ack on the wire would have closed the channel with 406.
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('2') });
  await until(() => inHand[1], 'the next delivery');
  expect(consumer.consuming).toBe(true);
});

test('gives a rejected message back with its count raised', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  const first = await until(() => inHand[0], 'the first delivery');

  first.reject(true);

  const second = await until(() => inHand[1], 'the second delivery');
  expect(second).toMatchObject({ redelivered: true, deliveryCount: 1 });
  second.ack();
});

test('gives a message back when its handler throws', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker, logged } = opened;
  await using queue = await testQueue(broker);
  let seen = 0;
  broker.consume(queue.name, (delivery) => {
    if (++seen === 1) throw new Error('a bug');
    delivery.ack();
  });

  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });

  await until(() => seen === 2, 'the second delivery');
  expect(logged.join('\n')).toContain('the delivery handler threw');
});

test('takes no more after cancel, and what is in hand can still be acknowledged', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('2') });
  const first = await until(() => inHand[0], 'the delivery');

  await consumer.cancel();
  expect(consumer.consuming).toBe(false);
  expect(first.ack()).toBe(true);
  await consumer.close();

  expect(inHand).toHaveLength(1);
  const { messageCount } = await broker.withChannel((channel) => channel.checkQueue(queue.name));
  expect(messageCount).toBe(1);
});

test('gives back what is in hand when the consumer is closed', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  const delivery = await until(() => inHand[0], 'the delivery');

  await consumer.close();

  expect(delivery.ack()).toBe(false);
  const got = await takeOne(broker, queue.name);
  expect(got?.fields.redelivered).toBe(true);
});

test('can be cancelled and closed before it has ever consumed', async () => {
  await using proxy = await startFaultProxy(amqpUrl);
  await proxy.refuse();
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const consumer = opened.broker.consume('anything', () => {});

  await consumer.cancel();
  await consumer.close();

  expect(consumer.consuming).toBe(false);
});

test('tells its listeners when consuming starts and stops', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const seen = new Set<string>();
  const consumer = broker.consume(queue.name, () => {});
  const stop = broker.onStateChange(({ consume }) => seen.add(`${consume} ${consumer.consuming}`));
  await until(() => consumer.consuming, 'consuming');

  await consumer.cancel();
  stop();

  expect([...seen]).toEqual(expect.arrayContaining(['connected true', 'connected false']));
});
