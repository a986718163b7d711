/** The `dead` commands over letters that somebody forged: one bad letter is one bad letter, and the rest go on. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startInstallation } from '../../support/installation.ts';
import { LOST, lettersAre, OF_A_WORKER, type StrangeMessage, sendAsStranger } from '../../support/letters.ts';

/** Moves a cursor, sets a title, hides text, turns it round. */
const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\r\n\u2066x';
const HOSTILE_CHARACTERS = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const COMMANDS = [['list'], ['export', 'FILE'], ['purge', '--dry-run'], ['replay', '--dry-run']];

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
  { ...LOST, id: HOSTILE },
  { ...LOST, id: 'x'.repeat(5_000) },
  { ...LOST, steps: [{ filter: HOSTILE }] },
  { ...LOST, steps: [{ filter: 'gone' }] },
  Buffer.from(`${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`),
];

describe('letters that somebody forged', () => {
  it('defeat no command, hide none of the others, and reach no terminal', { timeout: 120_000 }, async () => {
    await using at = await startInstallation();
    const forged: StrangeMessage[] = [
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
    await at.publish({ ...LOST, id: 'good' }, { filter: 'nowhere' });
    const count = 2 * forged.length + 2;
    await lettersAre(at, count);

    for (const [name = '', ...args] of COMMANDS) {
      const given = args.map((arg) => (arg === 'FILE' ? file : arg));
      const plain = await at.darkroom('dead', name, ...given, '--limit', '100000');
      const json = await at.darkroom('dead', name, ...given, '--limit', '100000', '--json');

      expect([0, 1], `${name}: ${plain.stderr}`).toContain(plain.code);
      expect(json.code, json.stderr).toBe(plain.code);
      expect(plain.stdout + plain.stderr + json.stdout + json.stderr).not.toMatch(HOSTILE_CHARACTERS);
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
      { headers: claims, properties: { expiration: '1' }, body: { ...LOST, id: 'old' } },
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
