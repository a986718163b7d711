import { expect, test } from 'vitest';
import type { Delivery } from '../../../runtime/amqp/broker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import {
  declareQuorum,
  openTestBroker,
  takeOne,
  testBroker,
  testQueue,
  uniqueName,
} from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

function proxied() {
  const { hostname, port } = new URL(amqpUrl);
  return startFaultProxy({ host: hostname, port: Number(port) || 5672 });
}

/** basic.ack of delivery tag 9999 on channel 1, which RabbitMQ answers with 406. */
const ACK_OF_UNKNOWN_DELIVERY = Buffer.from('0100010000000d003c0050000000000000270f00ce', 'hex');

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

test('consumes again after the connection is lost; the old delivery can no longer be acknowledged', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  const first = await until(() => inHand[0], 'the first delivery');

  proxy.reset();

  const second = await until(() => inHand[1], 'the redelivery');
  expect(second).toMatchObject({ redelivered: true, alive: true });
  expect([first.alive, first.ack()]).toEqual([false, false]);
  expect(second.ack()).toBe(true);
  expect(consumer.consuming).toBe(true);
});

test('notices a peer that has vanished, by heartbeat, and consumes again', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl), { heartbeatMs: 1000 });
  const { broker, logged } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await until(() => consumer.consuming, 'consuming');

  proxy.halfOpen();

  await until(() => !consumer.consuming, 'the loss to be noticed');
  await broker.ready();
  await until(() => consumer.consuming, 'consuming again');
  expect(logged.join('\n')).toContain('Heartbeat timeout');
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  await until(() => inHand.at(-1)?.ack(), 'a delivery');
});

test('gets through a line that carries a byte a second for a while', async () => {
  await using proxy = await proxied();
  proxy.throttle(1);
  await using opened = openTestBroker(proxy.through(amqpUrl), { connectTimeoutMs: 700 });
  const { broker, logged } = opened;
  await until(
    () => logged.some((line) => line.includes('no answer within 700 ms')),
    'the attempt to be given up',
  );

  await proxy.heal();

  await broker.ready();
});

test('waits for a queue that is not there, says so, and consumes it once it is', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker, logged } = opened;
  const name = uniqueName('late');
  const consumer = broker.consume(name, (delivery) => delivery.ack());
  await until(() => logged.some((line) => line.includes(`not consuming ${name}`)), 'the warning');
  expect(consumer.consuming).toBe(false);

  await declareQuorum(broker, name);

  await until(() => consumer.consuming, 'consuming');
  expect(logged.join('\n')).toMatch(/NOT_FOUND - no queue .*darkroom queues declare/);
  expect(logged.filter((line) => line.includes('NOT_FOUND'))).toHaveLength(1);
  await broker.withChannel((channel) => channel.deleteQueue(name));
});

test('survives the deletion of its queue and consumes it again when it is declared again', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const bodies: string[] = [];
  const consumer = broker.consume(queue.name, (delivery) => {
    bodies.push(delivery.body.toString());
    delivery.ack();
  });
  await until(() => consumer.consuming, 'consuming');

  await broker.withChannel((channel) => channel.deleteQueue(queue.name));
  await until(() => !consumer.consuming, 'the cancel');
  await declareQuorum(broker, queue.name);
  await until(() => consumer.consuming, 'consuming again');
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('after'), mandatory: true });

  await until(() => bodies.length > 0, 'the delivery');
  expect(bodies).toEqual(['after']);
  expect(broker.state.consume).toBe('connected');
});

test('consumes again on the same connection when the broker closes the channel (406)', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const { broker, logged } = opened;
  await using queue = await testQueue(broker);
  const inHand: Delivery[] = [];
  const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('1') });
  const first = await until(() => inHand[0], 'the delivery');

  proxy.inject(ACK_OF_UNKNOWN_DELIVERY);

  const second = await until(() => inHand[1], 'the redelivery');
  expect(second).toMatchObject({ redelivered: true, alive: true });
  expect([first.alive, first.ack()]).toEqual([false, false]);
  await until(() => consumer.consuming, 'consuming again');
  expect(logged.join('\n')).toMatch(/not consuming .*406.*unknown delivery tag/);
  expect(proxy.accepted).toBe(2);
  second.ack();
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
  await using proxy = await proxied();
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
