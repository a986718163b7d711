import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deletionCostOf } from '../../../runtime/worker/deletion-cost.ts';

const POD = { deletionCost: true, name: 'darkroom-blur-1', namespace: 'darkroom' };
const silent = pino({ level: 'silent' });

describe('the mark of a busy pod', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is written once the pod is busy, and taken back once it is idle', async () => {
    const told: string[] = [];
    const cost = deletionCostOf(POD, silent, async (_, value) => void told.push(value))!;

    cost.busy(true);
    await vi.advanceTimersByTimeAsync(5_000);
    cost.busy(false);
    await vi.advanceTimersByTimeAsync(5_000);

    expect(told).toEqual(['1000', '0']);
  });

  it('is higher the more tasks are in hand', async () => {
    const told: string[] = [];
    const cost = deletionCostOf(POD, silent, async (_, value) => void told.push(value))!;

    for (const change of [true, true, true, false]) {
      cost.busy(change);
      await vi.advanceTimersByTimeAsync(5_000);
    }

    expect(told).toEqual(['1000', '2000', '3000', '2000']);
  });

  it('spares the API server: however short the tasks, at most every five seconds', async () => {
    const told: string[] = [];
    const cost = deletionCostOf(POD, silent, async (_, value) => void told.push(value))!;

    for (let task = 0; task < 1_000; task++) {
      cost.busy(true);
      await vi.advanceTimersByTimeAsync(50);
      cost.busy(false);
      cost.busy(true);
      cost.busy(false);
    }
    await vi.advanceTimersByTimeAsync(10_000);

    expect(told.length).toBeLessThanOrEqual(60_000 / 5_000);
  });

  it('is tried again after the API refused', async () => {
    const tries: string[] = [];
    const cost = deletionCostOf(POD, silent, async (_, value) => {
      tries.push(value);
      if (tries.length === 1) throw new Error('403');
    })!;

    cost.busy(true);
    await vi.advanceTimersByTimeAsync(5_000);
    cost.busy(false);
    cost.busy(true);
    await vi.advanceTimersByTimeAsync(5_000);

    expect(tries).toEqual(['1000', '1000']);
  });

  it('is never written when it is switched off', async () => {
    const told: string[] = [];
    const cost = deletionCostOf(
      { ...POD, deletionCost: false },
      silent,
      async (_, value) => void told.push(value),
    );

    await vi.advanceTimersByTimeAsync(60_000);

    expect(cost).toBeUndefined();
    expect(told).toEqual([]);
  });
});
