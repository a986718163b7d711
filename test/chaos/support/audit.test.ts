/** The judge of the fault runs: what it must not let pass, and what it must. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { Ledger, type Submission } from '../../support/ledger.ts';
import { audit, letterTypes } from './audit.ts';

const BYTES = Buffer.from('the right bytes');
const OTHERS = Buffer.from('others');
const LETTER = { type: 'not-an-image', reason: 'The input is empty (0 bytes).' };
const FAILED = { outcome: 'failed' };
const CLEAN = { results: 1, lost: 0, wrong: 0, unexplained: 0, duplicates: 0, faults: [] };

function completed(bytes = BYTES) {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { outcome: 'completed', output: { key: 'out/a', sha256 } };
}

/** A ledger with the task `a`, to which things happen. */
function ledgerAfter(happen: (ledger: Ledger) => void, expected?: Submission['expect']): Ledger {
  const ledger = new Ledger();
  ledger.submit({ id: 'a', bytes: BYTES, key: 'out/a', expect: expected });
  happen(ledger);
  return ledger;
}

/** By a storage in which the task's result lies. */
const verdictOn = (ledger: Ledger, stored: Buffer | undefined = BYTES) =>
  audit(ledger, async (key) => (key === 'out/a' ? stored : undefined));

it('is content with a task that is completed with its bytes', async () => {
  const ledger = ledgerAfter((ledger) => ledger.end('a', completed()));

  expect(ledger.open).toBe(0);
  expect(await verdictOn(ledger)).toMatchObject({ submitted: 1, ...CLEAN });
});

it.each(['dead letter', 'either'] as const)(
  'is content with a %s with a reason, where one may be',
  async (expected) => {
    const ledger = ledgerAfter((ledger) => {
      ledger.letter('a', LETTER);
      ledger.end('a', FAILED);
    }, expected);

    expect(await verdictOn(ledger)).toMatchObject({ ...CLEAN, results: 0, deadLetters: 1 });
    expect(letterTypes(ledger)).toBe('1 not-an-image');
  },
);

it('is content with a cancelled task only where one may be', async () => {
  const cancel = (ledger: Ledger) => ledger.end('a', { outcome: 'cancelled' });

  expect(await verdictOn(ledgerAfter(cancel, 'any'))).toMatchObject({ ...CLEAN, results: 0 });
  expect(await verdictOn(ledgerAfter(cancel, 'either'))).toMatchObject({ unexplained: 1 });
});

it('reports a task without any outcome as lost', async () => {
  const ledger = ledgerAfter(() => {});

  expect(ledger.open).toBe(1);
  expect(await verdictOn(ledger)).toMatchObject({ lost: 1, results: 0, faults: ['"a" has no outcome'] });
});

it('reports a completed task without its result as lost', async () => {
  const ledger = ledgerAfter((ledger) => ledger.end('a', completed()));

  expect(await audit(ledger, async () => undefined)).toMatchObject({
    lost: 1,
    faults: [expect.stringContaining('its result out/a is not there')],
  });
});

it.each([
  ['than its event says', completed()],
  ['than the pipeline gives', completed(OTHERS)],
])('reports other bytes %s as wrong', async (_, event) => {
  const ledger = ledgerAfter((ledger) => ledger.end('a', event));

  expect(await verdictOn(ledger, OTHERS)).toMatchObject({ wrong: 1, faults: [expect.any(String)] });
});

it.each<[what: string, expected: Submission['expect'], happen: (ledger: Ledger) => void, words: RegExp]>([
  [
    'a dead letter where a result is due',
    'result',
    (ledger) => ledger.letter('a', LETTER),
    /is a dead letter/,
  ],
  ['a result where none can be', 'dead letter', (ledger) => ledger.end('a', completed()), /cannot be/],
  [
    'a result and a dead letter',
    'either',
    (ledger) => {
      ledger.end('a', completed());
      ledger.letter('a', LETTER);
    },
    /completed and a dead letter/,
  ],
  [
    'two different ends',
    'either',
    (ledger) => {
      ledger.end('a', completed());
      ledger.end('a', FAILED);
    },
    /has ended twice/,
  ],
  ['a failure without a dead letter', 'any', (ledger) => ledger.end('a', FAILED), /is no dead letter/],
  [
    'a dead letter without a clear reason',
    'either',
    (ledger) => ledger.letter('a', { ...LETTER, reason: 'Darkroom itself failed: oops' }),
    /no clear reason/,
  ],
  [
    'an end that nobody submitted',
    'result',
    (ledger) => {
      ledger.end('a', completed());
      ledger.end('stranger', completed());
    },
    /"stranger", which nobody submitted/,
  ],
])('reports %s as unexplained', async (_, expected, happen, words) => {
  const verdict = await verdictOn(ledgerAfter(happen, expected));

  expect(verdict.unexplained).toBeGreaterThan(0);
  expect(verdict.faults.join()).toMatch(words);
});

it('counts an end that is told again as a duplicate, but not what the broker gives it again', async () => {
  const ledger = ledgerAfter((ledger) => {
    for (const seenBefore of [false, true, false]) ledger.end('a', completed(), seenBefore);
  });

  expect(await verdictOn(ledger)).toMatchObject({ ...CLEAN, duplicates: 1 });
});

it('refuses two tasks of one id', () => {
  expect(() => ledgerAfter((ledger) => ledger.submit({ id: 'a' }))).toThrow(/in the ledger already/);
});
