import { describe, expect, test } from 'vitest';
import { accountOf, LoadLedger, visitsOf } from '../load-ledger.ts';

function event(key: string, subject: string, data = {}, id = `${subject}:${key}`) {
  return { key, id, type: `darkroom.${key}`, subject, time: '2026-01-01T00:00:01.000Z', data };
}
const completed = (subject: string, steps: object[] = []) =>
  event('task.completed', subject, { outcome: 'completed', steps });
const failed = (subject: string) =>
  event('task.failed', subject, { outcome: 'failed', failure_type: 'timeout', failure_reason: 'Too slow.' });

function ledgerWith(...ids: string[]) {
  const ledger = new LoadLedger();
  for (const id of ids) ledger.submit({ id, filter: 'resize', submittedMs: 1_000 });
  return ledger;
}

describe('the ledger', () => {
  test('counts what has ended and what is open', () => {
    const ledger = ledgerWith('a', 'b', 'c', 'd');
    ledger.take(completed('a'), 2_000);
    ledger.take(failed('b'), 2_500);
    ledger.take(event('task.failed', 'c', { outcome: 'cancelled' }), 2_600);
    expect(ledger.counts).toMatchObject({ submitted: 4, completed: 1, failed: 1, cancelled: 1, open: 1 });
    expect(ledger.entries.get('b')?.failure).toEqual({ type: 'timeout', reason: 'Too slow.' });
    expect(ledger.entries.get('c')?.endedMs).toBe(2_600);
  });

  test('counts a repeated final event as a repeat, not as a second task', () => {
    const ledger = ledgerWith('a');
    ledger.take(completed('a'), 2_000);
    ledger.take(completed('a'), 3_000);
    expect(ledger.counts).toMatchObject({ completed: 1, repeats: 1, contradictions: 0, open: 0 });
    expect(ledger.entries.get('a')?.endedMs).toBe(2_000);
  });

  test('notices a task that both completes and fails', () => {
    const ledger = ledgerWith('a');
    ledger.take(completed('a'), 2_000);
    ledger.take(failed('a'), 3_000);
    expect(ledger.counts.contradictions).toBe(1);
  });

  test('keeps the tasks of others apart', () => {
    const ledger = ledgerWith('a');
    ledger.take(completed('stranger'), 2_000);
    ledger.take(event('task.started', 'stranger'), 2_000);
    expect(ledger.counts).toMatchObject({ submitted: 1, completed: 0, open: 1, others: 1 });
  });

  test('takes a dead letter for an end only where no event told of one', () => {
    const ledger = ledgerWith('a', 'b');
    ledger.take(failed('a'), 2_000);
    const poison = { type: 'poison', reason: 'It killed five workers.' };
    for (const id of ['a', 'b', 'stranger']) ledger.letter(id, poison);
    expect(ledger.counts).toMatchObject({ failed: 2, repeats: 0, contradictions: 0, open: 0 });
    expect(ledger.entries.get('b')?.failure).toEqual(poison);
  });

  test('counts a retry once however often its event comes', () => {
    const ledger = ledgerWith('a');
    ledger.take(event('task.retrying', 'a', {}, 'x'), 2_000);
    ledger.take(event('task.retrying', 'a', {}, 'x'), 2_000);
    ledger.take(event('task.retrying', 'a', {}, 'y'), 2_000);
    expect(ledger.counts.retries).toBe(2);
  });

  test('forgets a task that the broker refused', () => {
    const ledger = ledgerWith('a', 'b');
    ledger.withdraw('b');
    expect(ledger.counts).toMatchObject({ submitted: 1, open: 1 });
  });
});

describe('the account', () => {
  const counts = { ...new LoadLedger().counts, submitted: 10, completed: 6, failed: 1, open: 3 };

  test('loses nothing while what is open is still in a queue', () => {
    expect(accountOf(counts, 3, 0)).toMatchObject({ unfinished: 3, lost: 0 });
    expect(accountOf(counts, 99, 0)).toMatchObject({ unfinished: 3, lost: 0 });
  });

  test('calls lost what is neither ended nor in a queue', () => {
    expect(accountOf(counts, 1, 0)).toMatchObject({ unfinished: 1, lost: 2 });
    expect(accountOf(counts, -4, 0)).toMatchObject({ unfinished: 0, lost: 3 });
  });

  test('calls lost what is said to be completed and has no result', () => {
    expect(accountOf({ ...counts, open: 0 }, 0, 2)).toMatchObject({ lost: 2, withoutResult: 2 });
  });
});

describe('visits', () => {
  test('follow a task from queue to queue', () => {
    const ledger = ledgerWith('a');
    const steps = [
      { filter: 'resize', attempt: 0, queue_ms: 200, work_ms: 50 },
      { filter: 'blur', attempt: 0, queue_ms: 10, work_ms: 70 },
    ];
    ledger.take(completed('a', steps), 2_000);
    expect(visitsOf(ledger.entries.values())).toEqual([
      { task: 'a', step: 0, filter: 'resize', arrivedMs: 1_000, waitMs: 200, workMs: 50 },
      { task: 'a', step: 1, filter: 'blur', arrivedMs: 1_250, waitMs: 10, workMs: 70 },
    ]);
  });

  test('take a carried step for work in the queue where it was done', () => {
    const ledger = ledgerWith('a');
    const steps = [
      { filter: 'resize', attempt: 0, queue_ms: 200, work_ms: 50 },
      { filter: 'flip', attempt: 0, queue_ms: 0, work_ms: 5, carried: true },
      { filter: 'blur', attempt: 0, queue_ms: 10, work_ms: 70 },
    ];
    ledger.take(completed('a', steps), 2_000);
    expect(visitsOf(ledger.entries.values())).toEqual([
      { task: 'a', step: 0, filter: 'resize', arrivedMs: 1_000, waitMs: 200, workMs: 55 },
      { task: 'a', step: 2, filter: 'blur', arrivedMs: 1_255, waitMs: 10, workMs: 70 },
    ]);
  });

  test('of an open task are the first, without times', () => {
    const [visit] = visitsOf(ledgerWith('a').entries.values());
    expect(visit).toMatchObject({ filter: 'resize', arrivedMs: 1_000, waitMs: Number.NaN });
  });
});
