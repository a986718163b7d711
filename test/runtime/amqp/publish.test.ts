import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NotConnected, PublishRefused, PublishUnknown, Unroutable } from '../../../runtime/amqp/broker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { openTestBroker, takeOne, testBroker, testQueue, uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

function proxied() {
  const { hostname, port } = new URL(amqpUrl);
  return startFaultProxy({ host: hostname, port: Number(port) || 5672 });
}

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

test('says that the outcome is unknown when the connection is lost before the confirm', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const { broker } = opened;
  await using queue = await testQueue(broker);
  proxy.blackHole();
  const publishing = broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('x') });
  publishing.catch(() => {});

  proxy.reset();
  await proxy.heal();

  await expect(publishing).rejects.toBeInstanceOf(PublishUnknown);
});

test('says that the outcome is unknown when the confirm stays away, and connects anew', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl), { confirmTimeoutMs: 300, heartbeatMs: 60_000 });
  const { broker } = opened;
  await using queue = await testQueue(broker);
  proxy.blackHole();

  const publishing = broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('x') });

  await expect(publishing).rejects.toThrow(/not confirmed a message within 300 ms/);
  await expect(publishing).rejects.toBeInstanceOf(PublishUnknown);
  await proxy.heal();
  await broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('again') });
});

test('sends what was published while disconnected once the broker is back', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const { broker } = opened;
  await using queue = await testQueue(broker);
  await proxy.refuse();
  await until(() => broker.state.publish === 'connecting', 'the loss to be noticed');
  const publishing = broker.publish({ exchange: '', routingKey: queue.name, body: Buffer.from('waited') });

  await proxy.heal();

  await publishing;
  const got = await takeOne(broker, queue.name);
  expect(got?.content.toString()).toBe('waited');
});

test('gives up a publish that no connection took in time, with the reason', async () => {
  await using proxy = await proxied();
  await proxy.refuse();
  await using opened = openTestBroker(proxy.through(amqpUrl), { confirmTimeoutMs: 300 });

  const publishing = opened.broker.publish({ exchange: '', routingKey: 'q', body: Buffer.from('x') });

  await expect(publishing).rejects.toBeInstanceOf(NotConnected);
  await expect(publishing).rejects.toThrow(/connection refused/);
});

test('bounds what waits for a connection', async () => {
  await using proxy = await proxied();
  await proxy.refuse();
  await using opened = openTestBroker(proxy.through(amqpUrl), { confirmTimeoutMs: 60_000 });
  const body = Buffer.alloc(1024 * 1024);

  const publishing = Array.from({ length: 80 }, () =>
    opened.broker.publish({ exchange: '', routingKey: 'q', body }),
  );
  const refused = publishing.slice(64).map((promise) => promise.catch((error: unknown) => error));
  for (const promise of publishing) promise.catch(() => {});

  for (const error of await Promise.all(refused)) expect(error).toBeInstanceOf(NotConnected);
});

test('gives up at once when its signal aborts', async () => {
  await using proxy = await proxied();
  await proxy.refuse();
  await using opened = openTestBroker(proxy.through(amqpUrl), { confirmTimeoutMs: 60_000 });
  const giveUp = new AbortController();
  const publishing = opened.broker.publish({
    exchange: '',
    routingKey: 'q',
    body: Buffer.from('x'),
    signal: giveUp.signal,
  });

  giveUp.abort(new Error('no longer wanted'));

  await expect(publishing).rejects.toThrow('no longer wanted');
});

test('waits for a slow socket instead of filling memory', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl), {
    confirmTimeoutMs: 60_000,
    heartbeatMs: 60_000,
  });
  const { broker } = opened;
  await using queue = await testQueue(broker);
  proxy.blackHole();
  const body = Buffer.alloc(1024 * 1024);
  const publishing = Promise.all(
    Array.from({ length: 40 }, () => broker.publish({ exchange: '', routingKey: queue.name, body })),
  );
  await sleep(200);

  await proxy.heal();

  await publishing;
  const { messageCount } = await broker.withChannel((channel) => channel.checkQueue(queue.name));
  expect(messageCount).toBe(40);
});

test('sends the newest of what was published later while disconnected', async () => {
  await using proxy = await proxied();
  await using opened = openTestBroker(proxy.through(amqpUrl));
  const { broker } = opened;
  await using queue = await testQueue(broker);
  await proxy.refuse();
  await until(() => broker.state.publish === 'connecting', 'the loss to be noticed');
  for (let n = 0; n < 150; n++)
    broker.publishLater({ exchange: '', routingKey: queue.name, body: Buffer.from(`while away ${n}`) });
  await proxy.heal();
  await broker.ready();

  broker.publishLater({ exchange: '', routingKey: queue.name, body: Buffer.from('connected') });

  const bodies: string[] = [];
  while (bodies.at(-1) !== 'connected')
    bodies.push((await until(() => takeOne(broker, queue.name), 'the message')).content.toString());
  const newest = Array.from({ length: 100 }, (_, n) => `while away ${n + 50}`);
  expect(bodies).toEqual([...newest, 'connected']);
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
