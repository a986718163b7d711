/** The topology operator's resources against what `darkroom queues declare` declares: the same, argument by argument. */
import type { Channel } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { declareTopology } from '../../runtime/amqp/topology.ts';
import { listFunctions } from '../../runtime/functions.ts';
import { get, ofKind, one, pods, render } from '../support/chart.ts';

interface Declared {
  exchanges: Record<string, object>;
  queues: Record<string, object>;
  bindings: string[];
}

/** What the runtime asks a channel for, in words that both sides share. */
async function declaredByRuntime(): Promise<Declared> {
  const declared: Declared = { exchanges: {}, queues: {}, bindings: [] };
  const recorder = {
    async assertExchange(name: string, type: string, options: { alternateExchange?: string }) {
      const { alternateExchange } = options;
      declared.exchanges[name] = {
        type,
        ...(alternateExchange && { 'alternate-exchange': alternateExchange }),
      };
    },
    async assertQueue(name: string, options: { arguments: object }) {
      declared.queues[name] = options.arguments;
    },
    async bindQueue(queue: string, exchange: string, key: string) {
      declared.bindings.push(`${exchange} -${key}-> ${queue}`);
    },
  };
  await declareTopology(recorder as unknown as Channel, {
    prefix: 'darkroom',
    filters: listFunctions(),
    retryDelays: [5_000, 30_000, 120_000, 600_000],
    deliveryLimit: 20,
  });
  return { ...declared, bindings: declared.bindings.sort() };
}

async function renderedForOperator(): Promise<Declared> {
  const objects = await render({ set: { 'topology.mode': 'operator' } });
  const spec = (kind: string) => ofKind(objects, kind).map((object) => object.spec as Record<string, string>);
  return {
    exchanges: Object.fromEntries(
      spec('Exchange').map(({ name, type, arguments: more }) => [
        name,
        { type, ...(more as unknown as object) },
      ]),
    ),
    queues: Object.fromEntries(
      spec('Queue').map(({ name, arguments: more }) => [name, more as unknown as object]),
    ),
    bindings: spec('Binding')
      .map(({ source, destination, routingKey }) => `${source} -${routingKey}-> ${destination}`)
      .sort(),
  };
}

describe('the topology operator’s resources', () => {
  it('declare what the runtime declares', async () => {
    expect(await renderedForOperator()).toEqual(await declaredByRuntime());
  });

  it('are kept when the release is uninstalled', async () => {
    const objects = await render({ set: { 'topology.mode': 'operator' } });

    for (const kind of ['Queue', 'Exchange', 'User']) {
      for (const { spec } of ofKind(objects, kind)) expect(spec).toMatchObject({ deletionPolicy: 'retain' });
    }
  });

  it('name the cluster, or a secret for a broker elsewhere', async () => {
    const near = await render({ set: { 'topology.mode': 'operator' } });
    const far = await render({
      set: { 'topology.mode': 'operator', 'topology.operator.connectionSecret': 'far' },
    });

    expect(get(one(near, 'Queue', 'darkroom-darkroom.blur'), 'spec.rabbitmqClusterReference')).toEqual({
      name: 'rabbitmq',
    });
    expect(get(one(far, 'Queue', 'darkroom-darkroom.blur'), 'spec.rabbitmqClusterReference')).toEqual({
      connectionSecret: { name: 'far' },
    });
  });
});

describe('the topology job', () => {
  it('declares before the release, with the admin’s credentials, in the workers’ image', async () => {
    const objects = await render();
    const job = one(objects, 'Job', 'darkroom-topology');

    expect(job.metadata.annotations?.['helm.sh/hook']).toBe('pre-install,pre-upgrade');
    expect(get(job, 'spec.template.spec.containers.0')).toMatchObject({
      image: 'darkroom:0.1.0',
      args: ['queues', 'declare'],
    });
  });

  it('gets the same environment as the workers do', async () => {
    const objects = await render();
    const job = pods(objects).find(({ name }) => name === 'Job darkroom-topology');
    const environment = Object.fromEntries(
      job?.spec.containers[0]?.env?.map(({ name, value }) => [name, value]) ?? [],
    );

    expect(environment).toEqual(one(objects, 'ConfigMap', 'darkroom-environment').data);
  });
});
