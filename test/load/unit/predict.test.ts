import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../../keda/model.ts';
import { type PredictedQueue, predict } from '../predict.ts';

const COUNT = 400;

function queue(changes: Partial<PredictedQueue> = {}): PredictedQueue {
  return {
    filter: 'blur',
    arrivalsMs: Float64Array.from({ length: COUNT }, (_, index) => index),
    tasks: Array.from({ length: COUNT }, (_, index) => `t${index}`),
    service: { kind: 'fixed', meanMs: 200 },
    settings: { ...DEFAULT_SETTINGS, maxReplicas: 2 },
    initialReplicas: 0,
    podStartMs: 2_000,
    statsIntervalMs: 1_000,
    ...changes,
  };
}

const OPTIONS = { speed: 1, loopMs: 0, seeds: [1, 2, 3], horizonMs: 60_000 };

describe('the prediction', () => {
  test('works a burst off with as many workers as there may be', () => {
    const { typical, all } = predict({ ...OPTIONS, queues: [queue()] });
    expect(all).toHaveLength(3);
    expect(typical.peakReplicas).toBe(2);
    expect(typical.peakReady).toBeGreaterThan(COUNT * 0.9);
    // 400 tasks of 200 ms by two workers, after a poll and a start.
    expect(typical.makespanMs).toBeGreaterThan(40_000);
    expect(typical.makespanMs).toBeLessThan(60_000);
    expect(typical.latencyMs.p50 - typical.waitMs.p50).toBeCloseTo(200, -1);
  });

  test('of a hurried scaling is told in the time of the clock on the wall', () => {
    const slow = predict({ ...OPTIONS, queues: [queue()] }).typical;
    const fast = predict({ ...OPTIONS, speed: 20, queues: [queue()] }).typical;
    // Only the wake-up is hurried, not the work.
    expect(fast.makespanMs).toBeLessThan(slow.makespanMs);
    expect(fast.makespanMs).toBeGreaterThan(40_000);
    expect(Math.max(...fast.series.completed)).toBeCloseTo(10, 0);
  });

  test('adds the steps of a task up', () => {
    const second = queue({ filter: 'edges', arrivalsMs: queue().arrivalsMs.map((ms) => ms + 1_000) });
    const { typical } = predict({ ...OPTIONS, queues: [queue(), second] });
    expect(Object.keys(typical.filters)).toEqual(['blur', 'edges']);
    expect(typical.peakReplicas).toBe(4);
    expect(typical.latencyMs.p50).toBeGreaterThan(1.8 * typical.waitMs.p50);
  });

  test('has one value a second, up to the end of what was measured', () => {
    const { series } = predict({ ...OPTIONS, horizonMs: 90_000, queues: [queue()] }).typical;
    expect(series.stepMs).toBe(1_000);
    expect(series.wanted).toHaveLength(91);
    expect(series.ready.at(-1)).toBe(0);
  });
});
