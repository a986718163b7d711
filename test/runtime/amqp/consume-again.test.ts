/** How a consumer comes back after the loss of its connection, its channel or its queue. */
import { expect, test } from 'vitest';
import type { Delivery } from '../../../runtime/amqp/broker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { declareQuorum, openTestBroker, testBroker, testQueue, uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

/** basic.ack of delivery tag 9999 on channel 1, which RabbitMQ answers with 406. */
const ACK_OF_UNKNOWN_DELIVERY = Buffer.from('0100010000000d003c0050000000000000270f00ce', 'hex');

test('consumes again after the connection is lost; the old delivery can no longer be acknowledged', async () => {
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
