/** What becomes of a publish while the connection is lost, slow or not there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { NotConnected, PublishUnknown } from '../../../runtime/amqp/broker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { openTestBroker, takeOne, testBroker, testQueue } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

test('says that the outcome is unknown when the connection is lost before the confirm', async () => {
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
  await proxy.refuse();
  await using opened = openTestBroker(proxy.through(amqpUrl), { confirmTimeoutMs: 300 });

  const publishing = opened.broker.publish({ exchange: '', routingKey: 'q', body: Buffer.from('x') });

  await expect(publishing).rejects.toBeInstanceOf(NotConnected);
  await expect(publishing).rejects.toThrow(/connection refused/);
});

test('bounds what waits for a connection', async () => {
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
  await using proxy = await startFaultProxy(amqpUrl);
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
