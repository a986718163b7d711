import { describe, expect, test } from 'vitest';
import { accountOf, type LoadAccount, LoadLedger } from '../load-ledger.ts';
import { judge, type Limits, verdictWords } from '../thresholds.ts';

const times = (p95: number) => ({ mean: p95, p50: p95, p95, p99: p95, max: p95 });
const MEASURED = { waitMs: times(20_000), latencyMs: times(25_000), throughput: 8 };
const COUNTS = { ...new LoadLedger().counts, submitted: 10, completed: 10 };
const ACCOUNT = accountOf(COUNTS, 0, 0);
const NONE: Limits = { lost: 0, failed: 0 };

function broken(limits: Limits, account: Partial<LoadAccount> = {}, interrupted = false): string[] {
  return judge(limits, MEASURED, { ...ACCOUNT, ...account }, interrupted)
    .filter(({ passed }) => !passed)
    .map(verdictWords);
}

describe('thresholds', () => {
  test('are kept when every task has ended well', () => {
    expect(broken(NONE)).toEqual([]);
  });

  test('say in words what was measured and what was expected', () => {
    expect(broken({ ...NONE, maxWaitP95Ms: 15_000 })).toEqual([
      'Time in queue, p95: 20.0 s, expected at most 15.0 s',
    ]);
    expect(broken({ ...NONE, maxLatencyP95Ms: 24_000 })).toHaveLength(1);
    expect(broken({ ...NONE, minThroughput: 9 })).toEqual(['Throughput: 8.00/s, expected at least 9/s']);
  });

  test('are kept at the limit itself', () => {
    expect(broken({ ...NONE, maxWaitP95Ms: 20_000, maxLatencyP95Ms: 25_000, minThroughput: 8 })).toEqual([]);
  });

  test('allow no loss and no failure unless told to', () => {
    expect(broken(NONE, { lost: 1 })).toEqual(['Tasks lost: 1, expected none']);
    expect(broken(NONE, { failed: 2 })).toEqual(['Tasks failed: 2, expected none']);
    expect(broken({ lost: 1, failed: 2 }, { lost: 1, failed: 2 })).toEqual([]);
  });

  test('are broken by tasks still queued, unless the run was stopped', () => {
    expect(broken(NONE, { unfinished: 4 })).toHaveLength(1);
    expect(broken(NONE, { unfinished: 4 }, true)).toEqual([]);
  });

  test('are never kept by a run in which nothing ended', () => {
    const nothing = { completed: 0, unfinished: 10 };
    expect(broken({ ...NONE, maxWaitP95Ms: 60_000 }, nothing)).toContain(
      'Time in queue, p95: nothing ended, expected at most 1 min',
    );
  });
});
