/** The rights that `darkroom rights` prints, on a real broker: with them each role can do its part, and nothing else. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { type Channel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RabbitNode } from '../../../runtime/cli/local-broker/start-rabbitmq.ts';
import { ManagementClient } from '../../../runtime/cli/management.ts';
import { Installation } from '../../support/installation.ts';
import { presentVersions, startRabbit } from '../../support/rabbit.ts';
import { answer, giveRights, ROLE_PASSWORD, refusedTo, urlOf } from '../../support/roles.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';

const CAT = fileURLToPath(new URL('../../fixtures/photos/cat.png', import.meta.url));
const PREFIX = 'dark-room';
const SLOW = { timeout: 120_000 };

const versions = await presentVersions();

describe.each(versions)('on RabbitMQ %s', (version) => {
  let node: RabbitNode;
  let at: Installation;
  const as = (role: string) => ({ ...at.env, AMQP_URL: urlOf(node, PREFIX, role) });

  beforeAll(async () => {
    node = await startRabbit({ version });
    await giveRights(node, PREFIX);
    at = new Installation({
      existing: true,
      amqpUrl: node.amqpUrl,
      env: {
        AMQP_URL: urlOf(node, PREFIX, 'admin'),
        AMQP_MANAGEMENT_URL: '',
        DARKROOM_PREFIX: PREFIX,
        RETRY_DELAYS: '200ms',
        INPUT_GRACE: '100ms',
        HTTP_PORT: '0',
        STORAGE_URL: '',
        TRUSTED_USERS: `${PREFIX}-admin,${PREFIX}-worker`,
      },
    });
    at.env.STORAGE_URL = pathToFileURL(at.folder).href;
    await at.open();
    const declared = await runDarkroom(['queues', 'declare'], as('admin'));
    expect(declared).toMatchObject({ code: 0, stderr: '' });
    await at.collectEvents();
    await at.broker.withChannel(async (channel) => {
      await channel.assertQueue(`${PREFIX}-two.flip`);
      await channel.assertExchange(`${PREFIX}-two`, 'direct');
    });
    const worker = as('worker');
    await at.worker(['flip', 'blur'], { AMQP_URL: worker.AMQP_URL });
  }, 180_000);

  afterAll(async () => {
    await at?.[Symbol.asyncDispose]();
    await node?.[Symbol.asyncDispose]();
  }, 60_000);

  it('a publisher’s task is worked on by a worker, step by step, and its end comes back', SLOW, async () => {
    const steps = ['--step', 'flip', '--step', 'blur:radius=1'];
    const published = await runDarkroom(
      ['publish', CAT, ...steps, '--wait', '60', '--json'],
      as('publisher'),
    );

    expect(published.code).toBe(0);
    expect(JSON.parse(published.stdout)).toMatchObject([{ outcome: 'completed' }]);
  });

  it('a publisher gets a direct reply', SLOW, async () => {
    await at.put('photo.png', Buffer.from('no image'));
    const connection = await connect(urlOf(node, PREFIX, 'publisher'));
    const channel = await connection.createChannel();
    const reply = Promise.withResolvers<string>();
    await channel.consume('amq.rabbitmq.reply-to', (message) => reply.resolve(String(message?.content)), {
      noAck: true,
    });

    channel.publish(
      PREFIX,
      'flip',
      Buffer.from(JSON.stringify({ input: 'photo.png', steps: [{ filter: 'flip' }] })),
      {
        contentType: 'application/json',
        replyTo: 'amq.rabbitmq.reply-to',
      },
    );

    expect(JSON.parse(await reply.promise)).toMatchObject({ data: { failure_type: 'not-an-image' } });
    await connection.close();
  });

  it('admin lists and replays what has failed, and workers believe it', SLOW, async () => {
    const task = {
      id: 'again',
      input: 'late.png',
      steps: [{ filter: 'flip' }, { filter: 'blur', params: { radius: 1 } }],
    };
    await answer(urlOf(node, PREFIX, 'publisher'), (channel) =>
      channel.publish(PREFIX, 'flip', Buffer.from(JSON.stringify(task)), { contentType: 'application/json' }),
    );
    await at.ended('again', 30_000);
    await promisify(execFile)('cp', [CAT, join(at.folder, 'late.png')]);

    const replayed = await runDarkroom(['dead', 'replay', '--id', 'again', '--json'], as('admin'));
    const completed = await until(
      () => at.events.find(({ subject, key }) => subject === 'again' && key === 'task.completed'),
      'the replay',
    );
    const { stdout } = await runDarkroom(['status', 'again', '--json'], as('admin'));

    expect(replayed).toMatchObject({ code: 0, stderr: expect.not.stringContaining('Warning') });
    expect(completed.id).toContain(':g1');
    expect(JSON.parse(stdout)).toMatchObject({ state: 'completed', generation: 1 });
  });

  it('admin looks at queues, cancels tasks and purges', SLOW, async () => {
    const commands = [
      ['queues', 'list'],
      ['dead', 'list'],
      ['cancel', 'to-come'],
      ['dead', 'purge', '--yes'],
      ['queues', 'purge', 'edges', '--yes'],
      ['smoke', '--step', 'flip', '--wait', '60'],
    ];
    for (const command of commands)
      expect(await runDarkroom(command, as('admin')), command.join(' ')).toMatchObject({ code: 0 });
  });

  it('a monitor reads how much waits in both ways, and no more of the management API', SLOW, async () => {
    const options = {
      amqpUrl: urlOf(node, PREFIX, 'monitor'),
      managementUrl: node.managementUrl.replace('guest:guest@', ''),
    };
    const client = new ManagementClient(options);

    expect(await client.queue(`${PREFIX}.flip`)).toMatchObject({ ready: 0 });
    // KEDA asks the queue itself as well.
    const ask = (channel: Channel) => channel.checkQueue(`${PREFIX}.flip`);
    expect(await answer(options.amqpUrl, ask)).toBeUndefined();
    const forbidden = await fetch(`${options.managementUrl}/api/users`, {
      headers: { authorization: `Basic ${btoa(`${PREFIX}-monitor:${ROLE_PASSWORD}`)}` },
    });
    expect([401, 403]).toContain(forbidden.status);
    for (const role of ['publisher', 'worker', 'admin'])
      await expect(
        new ManagementClient({ ...options, amqpUrl: urlOf(node, PREFIX, role) }).queues(),
      ).rejects.toThrow(/401/);
  });

  it.each(refusedTo(PREFIX))('%s may not %s', SLOW, async (role, _, operation) => {
    expect(await answer(urlOf(node, PREFIX, role), operation)).toBe(403);
  });
});

describe('darkroom rights', () => {
  const rights = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    runDarkroom(['rights', ...args], { ...process.env, AMQP_URL: '', ...env });

  it('fits prefix and vhost, and quotes what a shell would read otherwise', async () => {
    const { stdout } = await rights(['worker'], { DARKROOM_PREFIX: 'own', AMQP_URL: "amqp://h/it's%20mine" });

    expect(stdout).toContain(`set_permissions -p 'it'\\''s mine' own-worker '^$' '^(amq\\.default|own`);
  });

  it('tells one role or all as JSON', async () => {
    const all = JSON.parse((await rights(['--json'])).stdout);
    const one = JSON.parse((await rights(['monitor', '--json'])).stdout);

    expect(all.map(({ role }: { role: string }) => role)).toEqual([
      'publisher',
      'worker',
      'admin',
      'monitor',
    ]);
    expect(one).toMatchObject([
      { role: 'monitor', tags: ['management'], vhost: '/', user: 'darkroom-monitor' },
    ]);
  });

  it('knows no other role', async () => {
    expect(await rights(['king'])).toMatchObject({ code: 2, stderr: expect.stringContaining('king') });
  });
});
