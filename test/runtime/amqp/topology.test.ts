import { expect, test } from 'vitest';
import type { Broker } from '../../../runtime/amqp/broker.ts';
import {
  declareTopology,
  deleteTopology,
  inspectTopology,
  names,
  type Topology,
} from '../../../runtime/amqp/topology.ts';
import { UserError } from '../../../runtime/errors.ts';
import { openTestBroker, takeOne, testBroker, uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';

const { amqpUrl } = await testBroker();

async function declared(broker: Broker, changes: Partial<Topology> = {}) {
  const topology = {
    prefix: uniqueName('t'),
    filters: ['blur', 'resize'],
    retryDelays: [200],
    deliveryLimit: 3,
    ...changes,
  };
  await broker.withChannel((channel) => declareTopology(channel, topology));
  return {
    topology,
    at: names(topology.prefix),
    async [Symbol.asyncDispose]() {
      await broker.withChannel((channel) => deleteTopology(channel, topology));
    },
  };
}

test('declares everything, and may be declared again', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using place = await declared(broker);

  await broker.withChannel((channel) => declareTopology(channel, place.topology));

  const states = await inspectTopology(broker, place.topology);
  const empty = { messages: 0, consumers: 0 };
  expect(states).toEqual(
    new Map([
      [place.at.queue('blur'), empty],
      [place.at.queue('resize'), empty],
      [`${place.topology.prefix}.retry.200ms`, empty],
      [place.at.dead, empty],
    ]),
  );
});

test('routes a task to its filter by key, and keeps one that no filter takes', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using place = await declared(broker);
  const { at } = place;

  await broker.publish({
    exchange: at.exchange,
    routingKey: 'blur',
    body: Buffer.from('known'),
    mandatory: true,
  });
  await broker.publish({
    exchange: at.exchange,
    routingKey: 'bIur',
    body: Buffer.from('unknown'),
    mandatory: true,
  });

  expect((await takeOne(broker, at.queue('blur')))?.content.toString()).toBe('known');
  const dead = await takeOne(broker, at.dead);
  expect(dead?.content.toString()).toBe('unknown');
  expect(dead?.fields.routingKey).toBe('bIur');
});

test('brings a task back to its filter after the delay', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using place = await declared(broker);
  const { at } = place;
  await broker.publish({
    exchange: at.retry(200),
    routingKey: 'resize',
    body: Buffer.from('later'),
    mandatory: true,
    properties: { headers: { 'darkroom-attempt': 1 } },
  });
  expect(await takeOne(broker, at.queue('resize'))).toBeUndefined();

  const back = await until(() => takeOne(broker, at.queue('resize')), 'the task');

  expect(back.content.toString()).toBe('later');
  expect(back.fields).toMatchObject({ exchange: at.exchange, routingKey: 'resize' });
  expect(back.properties.headers).toMatchObject({ 'darkroom-attempt': 1 });
});

test('dead-letters a task that is given back more often than the limit', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using place = await declared(broker, { deliveryLimit: 3 });
  const { at } = place;
  let deliveries = 0;
  broker.consume(at.queue('blur'), (delivery) => {
    deliveries++;
    delivery.reject(true);
  });

  await broker.publish({ exchange: at.exchange, routingKey: 'blur', body: Buffer.from('poison') });

  const dead = await until(() => takeOne(broker, at.dead), 'the dead letter');
  expect(dead.content.toString()).toBe('poison');
  expect(deliveries).toBe(4);
  expect(dead.properties.headers).toMatchObject({ 'x-first-death-reason': 'delivery_limit' });
});

test('keeps a dead letter however often it is looked at and given back', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using place = await declared(broker);
  const { at } = place;
  await broker.publish({ exchange: at.dead, routingKey: 'blur', body: Buffer.from('kept') });
  let looks = 0;
  const consumer = broker.consume(at.dead, (delivery) => {
    if (++looks <= 50) delivery.reject(true);
  });

  await until(() => looks > 50, 'fifty looks');
  await consumer.close();

  expect((await takeOne(broker, at.dead))?.content.toString()).toBe('kept');
});

test('says which queue was declared otherwise, in what, and what to do', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  await using place = await declared(broker, { deliveryLimit: 3 });

  const again = broker.withChannel((channel) =>
    declareTopology(channel, { ...place.topology, deliveryLimit: 4 }),
  );

  await expect(again).rejects.toBeInstanceOf(UserError);
  await expect(again).rejects.toThrow(
    new RegExp(
      `${place.at.queue('blur')}.* x-delivery-limit \\(DELIVERY_LIMIT sets it\\).*'4'.*'3'.*delete it`,
      's',
    ),
  );
});

test('refuses a filter whose queue would be the dead letters', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;

  const refused = broker.withChannel((channel) =>
    declareTopology(channel, {
      prefix: uniqueName('t'),
      filters: ['dead'],
      retryDelays: [],
      deliveryLimit: 3,
    }),
  );

  await expect(refused).rejects.toThrow(/cannot be called "dead"/);
});

test('reports a queue that is not declared', async () => {
  await using opened = openTestBroker(amqpUrl);
  const { broker } = opened;
  const prefix = uniqueName('t');

  const states = await inspectTopology(broker, { prefix, filters: ['blur'], retryDelays: [] });

  expect(states.get(`${prefix}.blur`)).toBeUndefined();
  expect(broker.state.publish).toBe('connected');
});
