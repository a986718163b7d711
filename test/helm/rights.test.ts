/** The rights that the chart gives to the broker's users, and helm/README.md to type: those that `darkroom rights` prints. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { declareTopology } from '../../runtime/amqp/topology.ts';
import { ROLES, rightsOf } from '../../runtime/cli/broker-rights.ts';
import { one, ROOT, render } from '../support/chart.ts';
import { startRabbit, testBroker, uniqueName } from '../support/rabbit.ts';
import { turned } from './switches.ts';

interface Definitions {
  users: { name: string; tags: string[] }[];
  permissions: { user: string; configure: string; write: string; read: string }[];
}

/** user, configure, write and read of each `rabbitmqctl set_permissions` in the README. */
async function rightsToType(): Promise<Map<string, string[]>> {
  const readme = await readFile(join(ROOT, 'helm/README.md'), 'utf8');
  const lines = readme.matchAll(/set_permissions -p prod darkroom-(\w+)\s+'(.+?)'\s+'(.+?)'\s+'(.+?)'/g);
  return new Map([...lines].map(([, user = '', ...rights]) => [user, rights]));
}

const PASSWORD = 'for-this-test';

/** The demo broker's definitions, applied to a vhost of the test's own under names of its own. */
async function usersOfTheChart() {
  const shared = await testBroker();
  const node = shared.managementUrl === undefined ? await startRabbit() : undefined;
  const management = new URL(node?.managementUrl ?? shared.managementUrl ?? '');
  const admin = new URL(node?.amqpUrl ?? shared.amqpUrl);
  const vhost = uniqueName('rights');
  const secret = one(await render({ set: turned('demo broker') }), 'Secret', 'darkroom-demo-broker');
  const { users, permissions }: Definitions = JSON.parse(secret.stringData?.['definitions.json'] ?? '');

  const call = async (method: string, path: string, body?: object) => {
    const { username, password, origin } = management;
    const authorization = `Basic ${btoa(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)}`;
    const headers = { authorization, 'content-type': 'application/json' };
    const response = await fetch(`${origin}/api/${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok)
      throw new Error(`${method} ${path} answers ${response.status}: ${await response.text()}`);
  };
  await call('PUT', `vhosts/${vhost}`);
  await call('PUT', `permissions/${vhost}/${decodeURIComponent(management.username)}`, {
    configure: '.*',
    write: '.*',
    read: '.*',
  });
  for (const { name, tags } of users) {
    await call('PUT', `users/${vhost}-${name}`, { password: PASSWORD, tags: tags.join(',') });
  }
  const typed = await rightsToType();
  for (const { user } of permissions) {
    const [configure, write, read] = typed.get(user) ?? [];
    await call('PUT', `permissions/${vhost}/${vhost}-${user}`, { configure, write, read });
  }
  return {
    vhost,
    managementOrigin: management.origin,
    connect: (role: string) =>
      connect(`amqp://${vhost}-${role}:${PASSWORD}@${admin.host}/${vhost}`, { timeout: 10_000 }),
    /** What a user gets of the management API. */
    async get(role: string, path: string) {
      const authorization = `Basic ${btoa(`${vhost}-${role}:${PASSWORD}`)}`;
      return fetch(`${management.origin}/api/${path}`, { headers: { authorization } });
    },
    async [Symbol.asyncDispose]() {
      for (const { name } of users) await call('DELETE', `users/${vhost}-${name}`);
      await call('DELETE', `vhosts/${vhost}`);
      await node?.[Symbol.asyncDispose]();
    },
  };
}

async function declared(broker: Awaited<ReturnType<typeof usersOfTheChart>>) {
  const admin = await broker.connect('admin');
  const channel = await admin.createChannel();
  await declareTopology(channel, {
    prefix: 'darkroom',
    filters: ['blur'],
    retryDelays: [5_000],
    deliveryLimit: 20,
  });
  return admin;
}

describe('the broker’s users', () => {
  it('have the rights in the chart that the README tells to type', async () => {
    const secret = one(await render({ set: turned('demo broker') }), 'Secret', 'darkroom-demo-broker');
    const { permissions }: Definitions = JSON.parse(secret.stringData?.['definitions.json'] ?? '');
    const typed = await rightsToType();

    for (const { user, configure, write, read } of permissions) {
      if (user !== 'admin') expect([configure, write, read]).toEqual(typed.get(user));
    }
    for (const role of ROLES) {
      const { configure, write, read } = rightsOf('darkroom')[role];
      expect(typed.get(role), role).toEqual([configure, write, read]);
    }
  });

  it('worker: consumes its queue, publishes tasks, retries, events and replies', async () => {
    await using broker = await usersOfTheChart();
    const admin = await declared(broker);
    const reply = await (await admin.createChannel()).assertQueue('', { exclusive: true });
    const worker = await broker.connect('worker');
    const channel = await worker.createConfirmChannel();

    for (const exchange of ['darkroom.events', 'darkroom.dead', 'darkroom.retry.5s', '']) {
      channel.publish(exchange, exchange === '' ? reply.queue : 'blur', Buffer.from('{}'));
    }
    await channel.waitForConfirms();
    const publisher = await admin.createConfirmChannel();
    publisher.publish('darkroom', 'blur', Buffer.from('{}'));
    await publisher.waitForConfirms();
    const delivered = await new Promise((resolve) => {
      void channel.consume('darkroom.blur', (message) => {
        if (message !== null) channel.ack(message);
        resolve(message?.fields.routingKey);
      });
    });

    expect(delivered).toBe('blur');
    await worker.close();
    await admin.close();
  });

  it('worker: may declare and delete nothing', async () => {
    await using broker = await usersOfTheChart();
    const admin = await declared(broker);
    const worker = await broker.connect('worker');
    worker.on('error', () => {});

    for (const attempt of ['assertQueue', 'deleteQueue'] as const) {
      const channel = await worker.createChannel();
      channel.on('error', () => {});
      await expect(channel[attempt]('darkroom.other')).rejects.toMatchObject({ code: 403 });
    }
    await worker.close();
    await admin.close();
  });

  it('monitor: sees how many messages wait, as KEDA asks for them', async () => {
    await using broker = await usersOfTheChart();
    const admin = await declared(broker);

    const response = await broker.get('monitor', `queues/${broker.vhost}/darkroom.blur`);

    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ name: 'darkroom.blur' });
    await admin.close();
  });

  it('monitor: reads and writes no message, and sees no user', async () => {
    await using broker = await usersOfTheChart();
    const admin = await declared(broker);
    const monitor = await broker.connect('monitor');
    monitor.on('error', () => {});
    const channel = await monitor.createChannel();
    channel.on('error', () => {});

    await expect(channel.get('darkroom.blur')).rejects.toMatchObject({ code: 403 });
    expect((await broker.get('monitor', 'users')).ok).toBe(false);
    await monitor.close();
    await admin.close();
  });
});
