/** The `dead` commands over a real queue: one bad letter is one bad letter, and the rest go on. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Options } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { intermediateKey } from '../../../runtime/task/task-marker.ts';
import { brokerUser } from '../../support/broker-user.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { FINGERPRINT, markEnded, OF_A_WORKER, TASK } from '../../support/letters.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';

const FLIP = { input: 'none.png', steps: [{ filter: 'flip' }] };
/** Moves a cursor, sets a title, hides text, turns it round. */
const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\r\n\u2066x';
const HOSTILE_CHARACTERS = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const COMMANDS = [['list'], ['export', 'FILE'], ['purge', '--dry-run'], ['replay', '--dry-run']];

interface Sent {
  body?: unknown;
  headers?: Record<string, unknown>;
  properties?: Options.Publish;
}

/** Past our own publisher, which says who we are, and leaves out what should not be sent. */
async function sendAsStranger(at: Installation, exchange: string, key: string, sent: Sent[]): Promise<void> {
  await at.broker.withChannel(async (channel) => {
    for (const { body = FLIP, headers = {}, properties = {} } of sent) {
      const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
      channel.publish(exchange, key, bytes, { contentType: 'application/json', ...properties, headers });
    }
  });
}

async function lettersAre(at: Installation, count: number): Promise<void> {
  await until(async () => (await at.depth(at.names.dead)) === count, `${count} dead letters`);
}

const WEIRD: unknown[] = [
  { toString: 1 },
  { toJSON: 'x', valueOf: null },
  [{}],
  [null],
  null,
  true,
  'abc',
  '',
  HOSTILE,
  -1,
  1e17,
  1.5,
  2 ** 53,
  { '!': 'timestamp', value: 2 ** 63 },
  Buffer.from([0, 0xff]),
];
const NAMES = [
  'darkroom-id',
  'darkroom-filter',
  'darkroom-failure-type',
  'darkroom-failure-reason',
  'darkroom-failed-at',
  'darkroom-first-failed-ms',
  'darkroom-attempts',
  'darkroom-step',
  'darkroom-generation',
  'darkroom-worker',
  'darkroom-replayed-from',
  'darkroom-history',
  'darkroom-steps',
  'darkroom-output',
  'x-death',
  'x-delivery-count',
  '__proto__',
  'toString',
];
const DEATHS: unknown[] = [
  [null],
  [[]],
  [{ queue: null, reason: { a: 1 }, time: null }],
  [{ queue: '', reason: '', time: { '!': 'timestamp', value: 2 ** 63 } }],
  [{ reason: 'toString' }],
  [{ reason: '__proto__', queue: HOSTILE }],
  {},
  'x',
];
const BODIES: unknown[] = [
  Buffer.alloc(0),
  Buffer.from('no task'),
  Buffer.from([0xff, 0xfe, 0xfd]),
  null,
  [],
  7,
  Buffer.from(`{"id":${JSON.stringify(HOSTILE)},"input":`),
  { ...FLIP, id: HOSTILE },
  { ...FLIP, id: 'x'.repeat(5_000) },
  { ...FLIP, steps: [{ filter: HOSTILE }] },
  { ...FLIP, steps: [{ filter: 'gone' }] },
  Buffer.from(`${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`),
];

describe('letters that somebody forged', () => {
  it('defeat no command, hide none of the others, and reach no terminal', { timeout: 120_000 }, async () => {
    await using at = await startInstallation();
    const forged: Sent[] = [
      ...NAMES.flatMap((name) => WEIRD.map((value) => ({ headers: { [name]: value } }))),
      ...DEATHS.map((death) => ({ headers: { 'x-death': death } })),
      ...BODIES.map((body) => ({ body })),
      { headers: { CC: ['nobody', 'x'], BCC: ['nobody'] } },
      { properties: { messageId: HOSTILE, contentType: HOSTILE, timestamp: 2 ** 60 } },
    ];
    const file = join(at.home, 'letters.jsonl');
    // Where the alternate exchange and where a user with more rights would bring them.
    await sendAsStranger(at, at.names.exchange, 'nowhere', forged);
    await sendAsStranger(at, at.names.exchange, HOSTILE, [{}]);
    await sendAsStranger(at, at.names.dead, '', forged);
    await at.publish({ ...FLIP, id: 'good' }, { filter: 'nowhere' });
    const count = 2 * forged.length + 2;
    await lettersAre(at, count);

    for (const [name = '', ...args] of COMMANDS) {
      const given = args.map((arg) => (arg === 'FILE' ? file : arg));
      const plain = await at.darkroom('dead', name, ...given, '--limit', '100000');
      const json = await at.darkroom('dead', name, ...given, '--limit', '100000', '--json');

      expect([0, 1], `${name}: ${plain.stderr}`).toContain(plain.code);
      expect(json.code, json.stderr).toBe(plain.code);
      expect(plain.stdout + plain.stderr + json.stdout + json.stderr).not.toMatch(HOSTILE_CHARACTERS);
      if (name === 'list') (await import('node:fs')).writeFileSync('/tmp/letters/list.json', json.stdout);
      if (name === 'list') expect(JSON.parse(json.stdout)).toHaveLength(count);
      if (name === 'replay') {
        const { replayed, skipped } = JSON.parse(json.stdout);
        expect(replayed.length + skipped.length).toBe(count);
        expect(replayed.map(({ id }: { id: string }) => id)).toContain('good');
      }
    }
    const exported = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect(exported.map((line) => JSON.parse(line))).toHaveLength(count);
    const shown = await at.darkroom('dead', 'show', HOSTILE);
    expect(shown).toMatchObject({ code: 0, stdout: expect.not.stringMatching(HOSTILE_CHARACTERS) });
  });

  it('that the broker set aside are told as the broker tells them', async () => {
    await using at = await startInstallation();
    const claims = { ...OF_A_WORKER, 'darkroom-filter': 'blur' };
    await sendAsStranger(at, at.names.exchange, 'flip', [
      { headers: claims, properties: { expiration: '1' }, body: { ...FLIP, id: 'old' } },
    ]);
    await sendAsStranger(at, at.names.exchange, 'nowhere', [
      { headers: { ...claims, 'x-death': [{ queue: `${at.prefix}.flip`, reason: 'delivery_limit' }] } },
    ]);
    await lettersAre(at, 2);

    const listed = JSON.parse((await at.darkroom('dead', 'list', '--json')).stdout);

    expect(listed).toHaveLength(2);
    expect(listed).toContainEqual(
      expect.objectContaining({ id: 'old', failure_type: 'expired', filter: 'flip', step: 0, worker: null }),
    );
    expect(listed).toContainEqual(
      expect.objectContaining({
        failure_type: 'unroutable',
        filter: 'nowhere',
        generation: 0,
        believed: false,
      }),
    );
  });
});

describe('replay', () => {
  it('leaves what no filter takes, sends the rest, and exits 1', async () => {
    await using at = await startInstallation();
    await sendAsStranger(at, at.names.exchange, 'nowhere', [
      { body: { ...FLIP, id: 'first' } },
      { body: Buffer.from('no task') },
      { body: { ...FLIP, id: 'gone', steps: [{ filter: 'gone' }] } },
      { body: { ...FLIP, id: 'unroutable', steps: [{ filter: 'blur', params: { radius: 1 } }] } },
      { body: { ...FLIP, id: 'full', steps: [{ filter: 'edges' }] } },
      { body: { ...FLIP, id: 'last' } },
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

  it('by a user who may not send leaves all of them, and says so of each', async (context) => {
    await using at = await startInstallation();
    await using user = await brokerUser({ configure: '.*', write: `^${at.prefix}$`, read: '.*' });
    if (user === undefined) return context.skip('needs AMQP_MANAGEMENT_URL beside AMQP_URL');
    await sendAsStranger(at, at.names.exchange, 'nowhere', [{ body: FLIP }, { body: FLIP }]);
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
    await at.publish({ ...FLIP, id: 'a' });
    await at.ended('a');
    const replay = (env: NodeJS.ProcessEnv) =>
      runDarkroom(['dead', 'replay', '--dry-run'], { ...at.env, ...env });

    const own = await replay({});
    const doubted = await replay({ AMQP_URL: admin.amqpUrl });
    const named = await replay({ AMQP_URL: admin.amqpUrl, TRUSTED_USERS: `guest,${admin.name}` });

    expect(own.stderr).not.toMatch(/Warning/);
    expect(doubted.stderr).toMatch(new RegExp(`Warning: .*TRUSTED_USERS names "${admin.name}"`));
    expect(named.stderr).not.toMatch(/Warning/);
  });

  it('of a task that failed runs it again under a new generation, and of a forged one under none', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    await at.publish({ ...FLIP, id: 'mine' });
    await at.ended('mine');
    // Somebody else's message under the same id, with headers of ours.
    await sendAsStranger(at, at.names.exchange, 'nowhere', [
      {
        body: { ...FLIP, id: 'mine', output: { key: 'out/theirs.png' } },
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
