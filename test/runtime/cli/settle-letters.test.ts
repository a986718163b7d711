/** Replay and purge over a real queue: each letter is settled for itself, and nothing goes that is still needed. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { intermediateKey } from '../../../runtime/task/task-marker.ts';
import { brokerUser } from '../../support/broker-user.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import {
  FINGERPRINT,
  LOST,
  lettersAre,
  markEnded,
  OF_A_WORKER,
  sendAsStranger,
  TASK,
} from '../../support/letters.ts';
import { startRabbit } from '../../support/rabbit.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';

const SLOW = { timeout: 120_000 };

describe('replay', () => {
  it('leaves what no filter takes, sends the rest, and exits 1', async () => {
    await using at = await startInstallation();
    await sendAsStranger(at, at.names.exchange, 'nowhere', [
      { body: { ...LOST, id: 'first' } },
      { body: Buffer.from('no task') },
      { body: { ...LOST, id: 'gone', steps: [{ filter: 'gone' }] } },
      { body: { ...LOST, id: 'unroutable', steps: [{ filter: 'blur', params: { radius: 1 } }] } },
      { body: { ...LOST, id: 'full', steps: [{ filter: 'edges' }] } },
      { body: { ...LOST, id: 'last' } },
    ]);
    await lettersAre(at, 6);
    await at.broker.withChannel(async (channel) => {
      await channel.deleteQueue(at.names.queue('blur'));
      await channel.deleteQueue(at.names.queue('edges'));
      await channel.assertQueue(at.names.queue('edges'), {
        arguments: { 'x-queue-type': 'quorum', 'x-max-length': 1, 'x-overflow': 'reject-publish' },
      });
      for (let i = 0; i < 20; i++) channel.publish('', at.names.queue('edges'), Buffer.alloc(0));
    });

    const { code, stdout } = await at.darkroom('dead', 'replay', '--json');

    expect(code).toBe(1);
    const { replayed, skipped } = JSON.parse(stdout);
    expect(replayed).toMatchObject([{ id: 'first' }, { id: 'last' }]);
    const why = skipped.map((letter: { id: string; why: string }) => [letter.id, letter.why]);
    expect(why).toEqual([
      ['(none)', expect.stringMatching(/no task that a worker could read/)],
      ['gone', expect.stringMatching(/no filter "gone"/)],
      ['unroutable', expect.stringMatching(/no queue takes/)],
      ['full', expect.stringMatching(/full/)],
    ]);
    await lettersAre(at, 4);
    expect(await at.depth(at.names.queue('flip'))).toBe(2);
    // What was not sent is not taken for under way.
    const status = await at.darkroom('status', 'unroutable', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({ state: 'failed', dead_letter: true });
  });

  it('leaves what the broker finds too large by now, and goes on with the next', SLOW, async () => {
    await using node = await startRabbit();
    await using at = await startInstallation({ amqpUrl: node.amqpUrl, env: { AMQP_URL: node.amqpUrl } });
    const large = { ...LOST, id: 'large', output: { format: 'x'.repeat(5_000) } };
    await sendAsStranger(at, at.names.exchange, 'nowhere', [{ body: LOST }, { body: large }, { body: LOST }]);
    await lettersAre(at, 3);
    const bound = 'rabbit, max_message_size, 1000';
    await node.ctl('eval', `application:set_env(${bound}), persistent_term:put(max_message_size, 1000).`);

    const { code, stdout } = await at.darkroom('dead', 'replay');

    expect(code).toBe(1);
    expect(stdout).toMatch(/Replayed 2 of 3\.\nlarge stays: RabbitMQ refuses .* larger than/);
    await lettersAre(at, 1);
  });

  it('by a user who may not send leaves all of them, and says so of each', async (context) => {
    await using at = await startInstallation();
    await using user = await brokerUser({ configure: '.*', write: `^${at.prefix}$`, read: '.*' });
    if (user === undefined) return context.skip('needs AMQP_MANAGEMENT_URL beside AMQP_URL');
    await sendAsStranger(at, at.names.exchange, 'nowhere', [{ body: LOST }, { body: LOST }]);
    await lettersAre(at, 2);

    const { code, stdout } = await runDarkroom(['dead', 'replay', '--json'], {
      ...at.env,
      AMQP_URL: user.amqpUrl,
    });

    expect(code).toBe(1);
    const { skipped } = JSON.parse(stdout);
    expect(skipped).toHaveLength(2);
    for (const { why } of skipped) expect(why).toMatch(/RabbitMQ refuses a message .*403/);
    await lettersAre(at, 2);
  });

  it('by another user than the workers’ warns that it may not be believed', async (context) => {
    await using at = await startInstallation();
    await using admin = await brokerUser({ configure: '.*', write: '.*', read: '.*' });
    if (admin === undefined) return context.skip('needs AMQP_MANAGEMENT_URL beside AMQP_URL');
    await at.worker('flip');
    await at.publish({ ...LOST, id: 'a' });
    await at.ended('a');
    const replay = (env: NodeJS.ProcessEnv) =>
      runDarkroom(['dead', 'replay', '--dry-run'], { ...at.env, ...env });

    const own = await replay({});
    const doubted = await replay({ AMQP_URL: admin.amqpUrl });
    const named = await replay({ AMQP_URL: admin.amqpUrl, TRUSTED_USERS: `guest,${admin.name}` });

    expect(own.stderr).not.toMatch(/Warning/);
    expect(doubted.stderr).toMatch(new RegExp(`Warning: .*TRUSTED_USERS names "${admin.name}"`));
    expect(named.stderr).not.toMatch(/Warning/);
    expect(doubted.stderr).toMatch(/Letters of the user "guest" are not believed here/);
    expect(own.stderr + named.stderr).not.toMatch(/not believed here/);
  });

  it('of a task that failed runs it again under a new generation, and of a forged one under none', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    await at.publish({ ...LOST, id: 'mine' });
    await at.ended('mine');
    // Somebody else's message under the same id, with headers of ours.
    await sendAsStranger(at, at.names.exchange, 'nowhere', [
      {
        body: { ...LOST, id: 'mine', output: { key: 'out/theirs.png' } },
        headers: { 'darkroom-generation': 9, 'darkroom-step': 0, 'darkroom-fingerprint': FINGERPRINT },
      },
    ]);
    await lettersAre(at, 2);
    await at.put('none.png', await readFile(new URL('../../fixtures/photos/cat.png', import.meta.url)));

    await at.darkroom('dead', 'replay');

    const completed = await until(() => at.events.find(({ key }) => key === 'task.completed'), 'the replay');
    expect(completed.id).toContain(':g1');
    const letter = await until(async () => (await at.deadLetters())[0], 'the other task’s letter');
    expect(letter.properties.headers).toMatchObject({ 'darkroom-failure-type': 'task-id-reused' });
    expect(await at.files()).not.toContain('out/theirs.png');
  });
});

describe('purge', () => {
  const letter = (change: Record<string, unknown> = {}) => ({
    exchange: '',
    body: Buffer.from(JSON.stringify(TASK)),
    properties: { headers: { ...OF_A_WORKER, 'darkroom-generation': 0, ...change } },
  });
  const image = intermediateKey({ id: 'cat', fingerprint: FINGERPRINT }, 0);

  async function withLetters(at: Installation, letters: ReturnType<typeof letter>[]) {
    const storage = await openStorage(at.env.STORAGE_URL);
    await at.put(image, Buffer.from('image'));
    for (const message of letters) await at.broker.publish({ ...message, routingKey: at.names.dead });
    await lettersAre(at, letters.length);
    return storage;
  }

  it('removes what a failed task left between its steps', async () => {
    await using at = await startInstallation();
    await markEnded(await withLetters(at, [letter()]), 0);

    const { code } = await at.darkroom('dead', 'purge', '--yes');

    expect(code).toBe(0);
    expect(await at.files()).not.toContain(image);
    await lettersAre(at, 0);
  });

  it.each([
    ['a letter that nobody of ours wrote', [], async () => {}],
    ['the letter of a task that has not ended', [letter()], async () => {}],
    [
      'a letter while a replay of its task is under way',
      [letter()],
      async (storage: Awaited<ReturnType<typeof openStorage>>) => {
        await markEnded(storage, 0);
        await writeSubmissionRecord(storage, 'cat', [{ filter: 'flip', params: {} }], 1);
      },
    ],
    [
      'one of two letters of a task',
      [letter(), letter({ 'darkroom-filter': 'flip' })],
      (storage: Awaited<ReturnType<typeof openStorage>>) => markEnded(storage, 0),
    ],
    [
      'the letter of another task that had the same id',
      [letter({ 'darkroom-failure-type': 'task-id-reused' })],
      (storage: Awaited<ReturnType<typeof openStorage>>) => markEnded(storage, 0),
    ],
  ])('of %s leaves the images between steps', async (_, letters, prepare) => {
    await using at = await startInstallation();
    await prepare(await withLetters(at, letters));
    if (letters.length === 0) {
      await markEnded(await openStorage(at.env.STORAGE_URL), 0);
      await sendAsStranger(at, '', at.names.dead, [{ body: TASK, headers: letter().properties.headers }]);
      await lettersAre(at, 1);
    }

    const { code } = await at.darkroom('dead', 'purge', '--yes', '--filter', 'blur');

    expect(code).toBe(0);
    expect(await at.files()).toContain(image);
  });
});
