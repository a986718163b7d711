/** The judge of the fault runs: what it must not let pass, and what it must. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { type Letter, openLedger } from './ledger.ts';

const BYTES = Buffer.from('the right bytes');
const LETTER: Letter = {
  failureType: 'not-an-image',
  reason: 'The input is empty (0 bytes).',
  filter: 'flip',
};
const CLEAN = { results: 1, lost: 0, wrong: 0, unexplained: 0, duplicates: 0, faults: [] };

/** A ledger with the task `a`, and a storage in which its result lies. */
function opened(expect?: 'result' | 'dead letter' | 'either') {
  const ledger = openLedger();
  ledger.submit({ id: 'a', bytes: BYTES, key: 'out/a', ...(expect && { expect }) });
  return { ledger, stored: new Map([['out/a', BYTES]]) };
}

function completed(bytes = BYTES) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { outcome: 'completed', output: { key: 'out/a', sha256 } };
}

it('is content with a task that is completed with its bytes', async () => {
  const { ledger, stored } = opened();
  ledger.event('a', completed(), false);

  expect(ledger.open).toBe(0);
  expect(await ledger.audit(async (key) => stored.get(key))).toMatchObject({ submitted: 1, ...CLEAN });
});

it('is content with a dead letter with a reason, where one may be', async () => {
  for (const expected of ['dead letter', 'either'] as const) {
    const { ledger, stored } = opened(expected);
    ledger.letter('a', LETTER, false);
    ledger.event('a', { outcome: 'failed' }, false);

    expect(await ledger.audit(async (key) => stored.get(key))).toMatchObject({
      ...CLEAN,
      results: 0,
      deadLetters: 1,
    });
  }
});

it('reports a task without any outcome as lost', async () => {
  const { ledger } = opened();

  const verdict = await ledger.audit(async () => BYTES);

  expect(ledger.openIds()).toEqual(['a']);
  expect(verdict).toMatchObject({ lost: 1, results: 0, faults: ['"a" has no outcome'] });
});

it('reports a completed task without its result as lost', async () => {
  const { ledger } = opened();
  ledger.event('a', completed(), false);

  expect(await ledger.audit(async () => undefined)).toMatchObject({
    lost: 1,
    faults: [expect.stringContaining('its result out/a is not there')],
  });
});

it.each([
  ['than its event says', Buffer.from('others'), completed()],
  ['than the pipeline gives', Buffer.from('others'), completed(Buffer.from('others'))],
])('reports other bytes %s as wrong', async (_, bytes, event) => {
  const { ledger } = opened();
  ledger.event('a', event, false);

  expect(await ledger.audit(async () => bytes)).toMatchObject({ wrong: 1, faults: [expect.any(String)] });
});

it.each<
  [string, 'result' | 'dead letter' | 'either', (ledger: ReturnType<typeof openLedger>) => void, RegExp]
>([
  [
    'a dead letter where a result is due',
    'result',
    (ledger) => ledger.letter('a', LETTER, false),
    /is a dead letter/,
  ],
  [
    'a result where none can be',
    'dead letter',
    (ledger) => ledger.event('a', completed(), false),
    /cannot be/,
  ],
  [
    'a result and a dead letter',
    'either',
    (ledger) => {
      ledger.event('a', completed(), false);
      ledger.letter('a', LETTER, false);
    },
    /completed and a dead letter/,
  ],
  [
    'two different ends',
    'either',
    (ledger) => {
      ledger.event('a', completed(), false);
      ledger.event('a', { outcome: 'failed' }, false);
    },
    /has ended twice/,
  ],
  [
    'a failure without a dead letter',
    'either',
    (ledger) => ledger.event('a', { outcome: 'failed' }, false),
    /is no dead letter/,
  ],
  [
    'a dead letter without a clear reason',
    'either',
    (ledger) => ledger.letter('a', { ...LETTER, reason: 'Darkroom itself failed: oops' }, false),
    /no clear reason/,
  ],
  [
    'an end that nobody submitted',
    'result',
    (ledger) => {
      ledger.event('a', completed(), false);
      ledger.event('stranger', completed(), false);
    },
    /"stranger", which nobody submitted/,
  ],
])('reports %s as unexplained', async (_, expected, happen, words) => {
  const { ledger, stored } = opened(expected);
  happen(ledger);

  const verdict = await ledger.audit(async (key) => stored.get(key));

  expect(verdict.unexplained).toBeGreaterThan(0);
  expect(verdict.faults.join()).toMatch(words);
});

it('counts an end that is told again as a duplicate, but not what the broker gives it again', async () => {
  const { ledger, stored } = opened();
  ledger.event('a', completed(), false);
  ledger.event('a', completed(), true);
  ledger.event('a', completed(), false);

  expect(await ledger.audit(async (key) => stored.get(key))).toMatchObject({ ...CLEAN, duplicates: 1 });
});

it('refuses two tasks of one id', () => {
  const { ledger } = opened();

  expect(() => ledger.submit({ id: 'a' })).toThrow(/in the ledger already/);
});
