/**
 * RabbitMQ takes a delivery back that stays unacknowledged for longer than consumer_timeout: 3.10 closes the channel
 * (406), 4.3 may cancel the consumer instead. It looks once a minute, so this takes minutes.
 */
import { expect, test } from 'vitest';
import type { Delivery } from '../../runtime/amqp/broker.ts';
import { openTestBroker, rabbitVersions, startRabbit, testQueue } from '../support/rabbit.ts';
import { until } from '../support/until.ts';

const CONSUMER_TIMEOUT_MS = 10_000;
const SWEPT_MS = 180_000;

test.each(await rabbitVersions())(
  'consumes again after consumer_timeout on RabbitMQ %s, and the task is done once',
  async (version) => {
    await using node = await startRabbit({ version, config: `consumer_timeout = ${CONSUMER_TIMEOUT_MS}\n` });
    await using opened = openTestBroker(node.amqpUrl);
    const { broker, logged } = opened;
    await using queue = await testQueue(broker);
    const inHand: Delivery[] = [];
    const consumer = broker.consume(queue.name, (delivery) => inHand.push(delivery));
    await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('slow') });
    const first = await until(() => inHand[0], 'the delivery');

    const second = await until(() => inHand[1], 'the delivery to be taken back and given again', SWEPT_MS);

    expect([first.alive, first.ack()]).toEqual([false, false]);
    expect(second).toMatchObject({ redelivered: true, alive: true });
    expect(second.ack()).toBe(true);
    await until(() => consumer.consuming, 'consuming');
    console.log(`RabbitMQ ${node.version}: ${logged.filter((line) => line.startsWith('warn')).join('; ')}`);
    const { messageCount } = await broker.withChannel((channel) => channel.checkQueue(queue.name));
    expect(messageCount).toBe(0);
    expect(inHand).toHaveLength(2);
  },
);
