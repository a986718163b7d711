/** The rights that `darkroom rights` prints, on a real broker: with them each role can do its part, and nothing else. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { type Channel, type ConfirmChannel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RabbitNode } from '../../../runtime/cli/local-broker/start-rabbitmq.ts';
import { ManagementClient } from '../../../runtime/cli/management.ts';
import { Installation } from '../../support/installation.ts';
import { presentVersions, startRabbit } from '../../support/rabbit.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';

const CAT = fileURLToPath(new URL('../../fixtures/photos/cat.png', import.meta.url));
const PASSWORD = 'for-this-test';
const PREFIX = 'dark-room';
const SLOW = { timeout: 120_000 };

/** Runs what is printed, as a shell understands it. */
async function giveRights(node: RabbitNode): Promise<void> {
  const { stdout } = await runDarkroom(['rights'], { ...process.env, DARKROOM_PREFIX: PREFIX, AMQP_URL: '' });
  const shell = `rabbitmqctl() { printf '%s\\t' "$@"; echo; }\n${stdout}`;
  const { stdout: words } = await promisify(execFile)('sh', ['-c', shell]);
  for (const line of words.split('\n').filter(Boolean)) {
    const command = line.split('\t').slice(0, -1);
    await node.ctl(...command, ...(command[0] === 'add_user' ? [PASSWORD] : []));
  }
}

function urlOf(node: RabbitNode, role: string): string {
  const url = new URL(node.amqpUrl);
  [url.username, url.password] = [`${PREFIX}-${role}`, PASSWORD];
  return url.href;
}

/** What the broker answers to an operation: its error code, or nothing when it does it. */
async function answer(
  url: string,
  operation: (channel: ConfirmChannel) => unknown,
): Promise<number | undefined> {
  const connection = await connect(url);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  const closed = new Promise<number>((resolve) =>
    channel.on('error', (error: Error & { code: number }) => resolve(error.code)),
  );
  const done = (async () => {
    await operation(channel);
    await channel.waitForConfirms();
    return undefined;
  })();
  // A refused operation fails, too, and knows less.
  done.catch(() => {});
  const code = await Promise.race([closed, done.catch(() => closed)]);
  await connection.close().catch(() => {});
  return code;
}

const MESSAGE = Buffer.from('{}');
const sendTo = (exchange: string, key: string) => (channel: ConfirmChannel) =>
  void channel.publish(exchange, key, MESSAGE);
const get = (queue: string) => (channel: Channel) => channel.get(queue);
const declare = (queue: string) => (channel: Channel) => channel.assertQueue(queue);
const remove = (queue: string) => (channel: Channel) => channel.deleteQueue(queue);
const purge = (queue: string) => (channel: Channel) => channel.purgeQueue(queue);
const bind = (queue: string, exchange: string) => (channel: Channel) =>
  channel.bindQueue(queue, exchange, '#');
const exchangeNamed = (exchange: string) => (channel: Channel) => channel.assertExchange(exchange, 'fanout');

type Refused = [role: string, what: string, operation: (channel: ConfirmChannel) => unknown];
const REFUSED: Refused[] = [
  ['publisher', 'write past the exchange into a queue', sendTo('', `${PREFIX}.flip`)],
  ['publisher', 'write dead letters', sendTo(`${PREFIX}.dead`, '')],
  ['publisher', 'write past the exchange into the dead letters', sendTo('', `${PREFIX}.dead`)],
  ['publisher', 'tell events', sendTo(`${PREFIX}.events`, 'task.completed')],
  ['publisher', 'write into a retry queue', sendTo(`${PREFIX}.retry.200ms`, 'flip')],
  ['publisher', 'write to an exchange of the broker', sendTo('amq.topic', 'x')],
  ['publisher', 'read tasks', get(`${PREFIX}.flip`)],
  ['publisher', 'read dead letters', get(`${PREFIX}.dead`)],
  ['publisher', 'purge tasks', purge(`${PREFIX}.flip`)],
  ['publisher', 'declare a queue', declare(`${PREFIX}.mine`)],
  ['publisher', 'delete a queue', remove(`${PREFIX}.flip`)],
  ['publisher', 'declare an exchange', exchangeNamed(`${PREFIX}.mine`)],
  [
    'publisher',
    'hear events',
    async (channel) => bind((await channel.assertQueue('')).queue, `${PREFIX}.events`)(channel),
  ],
  ['worker', 'declare a queue', declare(`${PREFIX}.mine`)],
  ['worker', 'declare a queue of its own', declare('')],
  ['worker', 'delete a queue', remove(`${PREFIX}.flip`)],
  ['worker', 'delete the dead letters', remove(`${PREFIX}.dead`)],
  ['worker', 'read dead letters', get(`${PREFIX}.dead`)],
  ['worker', 'purge dead letters', purge(`${PREFIX}.dead`)],
  ['worker', 'read retries', get(`${PREFIX}.retry.200ms`)],
  ['worker', 'read another installation’s queue', get(`${PREFIX}-two.flip`)],
  ['worker', 'bind its queue to events', bind(`${PREFIX}.flip`, `${PREFIX}.events`)],
  ['worker', 'write to another installation’s exchange', sendTo(`${PREFIX}-two`, 'flip')],
  ['worker', 'write to an exchange of the broker', sendTo('amq.topic', 'x')],
  ['admin', 'declare another’s queue', declare(`${PREFIX}-two.mine`)],
  ['admin', 'delete another’s queue', remove(`${PREFIX}-two.flip`)],
  ['admin', 'read another’s queue', get(`${PREFIX}-two.flip`)],
  ['admin', 'write to another’s exchange', sendTo(`${PREFIX}-two`, 'flip')],
  ['admin', 'write to an exchange of the broker', sendTo('amq.topic', 'x')],
  ['monitor', 'write to the exchange', sendTo(PREFIX, 'flip')],
  ['monitor', 'write into a queue', sendTo('', `${PREFIX}.flip`)],
  ['monitor', 'read tasks', get(`${PREFIX}.flip`)],
  ['monitor', 'declare a queue', declare(`${PREFIX}.mine`)],
  ['monitor', 'declare a queue of its own', declare('')],
  ['monitor', 'purge tasks', purge(`${PREFIX}.flip`)],
];

const versions = await presentVersions();

describe.each(versions)('on RabbitMQ %s', (version) => {
  let node: RabbitNode;
  let at: Installation;
  const as = (role: string) => ({ ...at.env, AMQP_URL: urlOf(node, role) });

  beforeAll(async () => {
    node = await startRabbit({ version });
    await giveRights(node);
    at = new Installation({
      existing: true,
      amqpUrl: node.amqpUrl,
      env: {
        AMQP_URL: urlOf(node, 'admin'),
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
    const connection = await connect(urlOf(node, 'publisher'));
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
    await answer(urlOf(node, 'publisher'), (channel) =>
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

  it('a monitor reads how much waits, and no more of the management API', SLOW, async () => {
    const options = {
      amqpUrl: urlOf(node, 'monitor'),
      managementUrl: node.managementUrl.replace('guest:guest@', ''),
    };
    const client = new ManagementClient(options);

    expect(await client.queue(`${PREFIX}.flip`)).toMatchObject({ ready: 0 });
    const forbidden = await fetch(`${options.managementUrl}/api/users`, {
      headers: { authorization: `Basic ${btoa(`${PREFIX}-monitor:${PASSWORD}`)}` },
    });
    expect([401, 403]).toContain(forbidden.status);
    for (const role of ['publisher', 'worker', 'admin'])
      await expect(new ManagementClient({ ...options, amqpUrl: urlOf(node, role) }).queues()).rejects.toThrow(
        /401/,
      );
  });

  it.each(REFUSED)('%s may not %s', SLOW, async (role, _, operation) => {
    expect(await answer(urlOf(node, role), operation)).toBe(403);
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
