import { expect, test } from 'vitest';
import {
  NotConnected,
  PublishNacked,
  PublishRefused,
  PublishUnknown,
  Unroutable,
} from '../../../runtime/amqp/broker.ts';
import { openTestBroker, takeOne, testBroker, testQueue, uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

test('resolves a publish when the broker has stored the message', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);

  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('one'), mandatory: true });

  const got = await takeOne(broker, queue.name);
  expect(got?.content.toString()).toBe('one');
  expect(got?.properties.deliveryMode).toBe(2);
});

test('keeps many publishes in flight and confirms each once', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const bodies = Array.from({ length: 3000 }, (_, index) => Buffer.from(String(index)));

  await Promise.all(bodies.map((body) => broker.publish({ exchange: '', routingKey: queue.name, body })));

  const { messageCount } = await broker.withChannel((channel) => channel.checkQueue(queue.name));
  expect(messageCount).toBe(3000);
});

test('takes a returned message for unroutable although the broker confirms it too', async () => {
  await using opened = openTestBroker(amqpUrl);
  const publishing = opened.broker.publish({
    exchange: '',
    routingKey: uniqueName('nowhere'),
    body: Buffer.from('lost'),
    mandatory: true,
  });

  await expect(publishing).rejects.toBeInstanceOf(Unroutable);
});

test('tells apart routable and unroutable messages that are in flight together', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const nowhere = uniqueName('nowhere');
  const targets = Array.from({ length: 400 }, (_, index) => (index % 3 === 0 ? nowhere : queue.name));

  const outcomes = await Promise.allSettled(
    targets.map((routingKey) =>
      broker.publish({
        exchange: '',
        routingKey,
        body: Buffer.from('x'),
        mandatory: true,
        // The same message id on all: the place it was sent to has to count as well.
        properties: { messageId: 'same' },
      }),
    ),
  );

  const expected = targets.map((target) => (target === nowhere ? 'rejected' : 'fulfilled'));
  expect(outcomes.map(({ status }) => status)).toEqual(expected);
});

test('names the exchange that is not there, and goes on publishing', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);

  const refused = broker.publish({ exchange: uniqueName('no'), routingKey: 'x', body: Buffer.from('x') });

  await expect(refused).rejects.toBeInstanceOf(PublishRefused);
  await expect(refused).rejects.toThrow(/no exchange/);
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('after') });
});

test('refuses a message whose properties cannot be encoded, and goes on publishing', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);

  const refused = broker.publish({
    exchange: '',
    routingKey: queue.name,
    body: Buffer.from('x'),
    properties: { priority: 'high' as unknown as number },
  });

  await expect(refused).rejects.toBeInstanceOf(TypeError);
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('after') });
});

test('tells a full queue that rejects publishing from an unknown outcome', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using full = await testQueue(broker, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
  await using queue = await testQueue(broker);
  const publishToFull = () =>
    broker.publish({ exchange: '', routingKey: full.name, body: Buffer.from('x'), mandatory: true });

  // RabbitMQ takes a few more before a queue counts itself full.
  const nacked = await until(() => publishToFull().catch((error: unknown) => error), 'a nack');
  const others = [1, 2, 3].map((n) =>
    broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from(String(n)) }),
  );

  expect(nacked).toBeInstanceOf(PublishNacked);
  expect(nacked).not.toBeInstanceOf(PublishUnknown);
  expect(nacked).toMatchObject({ message: expect.stringContaining(`queue '${full.name}'`) });
  await Promise.all(others);
  expect(broker.state.publish).toBe('connected');
});

test('sends the name of its own user, and is refused any other, which harms no other message', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const username = decodeURIComponent(new URL(amqpUrl).username);
  const publishAs = (userId: string) =>
    broker.publish({
      exchange: '',
      routingKey: queue.name,
      body: Buffer.from('x'),
      properties: { userId },
    });
  const userIds: unknown[] = [];
  broker.consume(queue.name, (delivery) => {
    userIds.push(delivery.properties.userId);
    delivery.ack();
  });

  const forged = publishAs('somebody-else');

  await expect(forged).rejects.toBeInstanceOf(PublishRefused);
  await expect(forged).rejects.toThrow(/user_id/);
  await publishAs(username);
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('x') });
  await until(() => userIds.length === 2, 'both messages');
  // Its own name is also the default.
  expect(userIds).toEqual([username, username]);
});

test('refuses the only message on its way when the broker closes the channel in words that name none', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using queue = await testQueue(broker);
  const publish = (replyTo?: string) => {
    const properties = replyTo === undefined ? {} : { replyTo };
    return broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('x'), properties });
  };

  await expect(publish('amq.rabbitmq.reply-to')).rejects.toBeInstanceOf(PublishRefused);
  await publish();
});

test('keeps confirmed publishing going when an event is published to an exchange that is not there', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker, logged } = opened;
  await using queue = await testQueue(broker);

  broker.publishLater({ exchange: uniqueName('no'), routingKey: 'x', body: Buffer.from('x') });
  await until(() => logged.some((line) => line.includes('events are not delivered')), 'the warning');

  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('x') });
  expect(broker.state.publish).toBe('connected');
});

test('confirms what is on its way before it closes', async () => {
  await using other = openTestBroker(amqpUrl);
  await using queue = await testQueue(other.broker);
  await using opened = openTestBroker(amqpUrl);
  const publishing = opened.broker.publish({
    exchange: '',
    routingKey: queue.name,
    body: Buffer.from('last'),
  });

  await opened.broker.close();

  await publishing;
  const got = await takeOne(other.broker, queue.name);
  expect(got?.content.toString()).toBe('last');
  const late = opened.broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('late') });
  await expect(late).rejects.toBeInstanceOf(NotConnected);
});
