import { describe, expect, test } from 'vitest';
import { initialState, type Observation, type ScalingSettings, step } from '../../../keda/model.ts';
import { hpaOnly, MODEL_START_MS, modelSettings, runModel, WITH_BEHAVIOR } from './run-model.ts';

describe('the metric', () => {
  const decide = (replicas: number, seen: Partial<Observation>, changes: Partial<ScalingSettings> = {}) =>
    step(hpaOnly(replicas), { nowMs: MODEL_START_MS, ready: 0, unacked: 0, ...seen }, modelSettings(changes));

  test.each([
    [{ ready: 11, unacked: 0 }, 3],
    [{ ready: 0, unacked: 9 }, 9],
    [{ ready: 30, unacked: 4 }, 7],
    [{ ready: 1, unacked: 4 }, 4],
  ])('max(busy, total ÷ 5) of %o asks for %i', (seen, expected) => {
    expect(decide(3, seen, { behavior: WITH_BEHAVIOR, maxReplicas: 9 }).replicas).toBe(
      expected > 3 ? Math.min(expected, 7) : 3,
    );
    expect(
      decide(20, seen, {
        behavior: { ...WITH_BEHAVIOR!, scaleDown: { ...WITH_BEHAVIOR!.scaleDown, stabilizationWindowMs: 0 } },
      }).replicas,
    ).toBe(expected);
  });

  test.each([
    [{ unacked: 9 }, 3],
    [{ unacked: 8 }, 2],
    [{ unacked: 1 }, 1],
    [{ ready: 40, unacked: 8 }, 3],
  ])('with four slots, %o in work and waiting ask for %i at 20 messages a replica', (seen, expected) => {
    const scaleDown = { ...WITH_BEHAVIOR!.scaleDown, stabilizationWindowMs: 0 };
    const changes = { slots: 4, messagesPerReplica: 20, behavior: { ...WITH_BEHAVIOR!, scaleDown } };
    expect(decide(20, seen, changes).replicas).toBe(expected);
  });

  test('a plain queue length lets four busy workers fall to one, the busy floor does not', () => {
    const behavior = {
      ...WITH_BEHAVIOR!,
      scaleDown: { ...WITH_BEHAVIOR!.scaleDown, stabilizationWindowMs: 0 },
    };
    expect(decide(4, { unacked: 4 }, { behavior, metric: 'queue-length' }).replicas).toBe(1);
    expect(decide(4, { unacked: 4 }, { behavior, metric: 'busy-floor' }).replicas).toBe(4);
  });

  test.each([
    [11, 10],
    [12, 12],
  ])('a ratio of %i/10 becomes %i: up to a tenth off target is tolerated', (unacked, expected) => {
    expect(decide(10, { unacked }).replicas).toBe(expected);
  });

  test('tolerance can be set for one direction alone', () => {
    const tolerance = { scaleUp: 0, scaleDown: 0.1 };
    expect(decide(10, { unacked: 11 }, { tolerance }).replicas).toBe(11);
  });

  test('tolerance compares with the pods that exist, not with those asked for', () => {
    expect(decide(10, { unacked: 10, statusReplicas: 5 }).replicas).toBe(10);
    expect(decide(4, { unacked: 5, statusReplicas: 5 }).replicas).toBe(5);
  });

  test('is cut to milli-units, so a third of a message never rounds up to more', () => {
    // 10 ÷ 3 = 3.333 asks for 4; 9.0003 ÷ 3 would be 3.0001 and is cut to 3.
    expect(decide(1, { ready: 10 }, { messagesPerReplica: 3 }).replicas).toBe(4);
    expect(decide(1, { ready: 3 }, { messagesPerReplica: 0.99999 }).replicas).toBe(3);
  });

  test('is read live at every sync, or from the last poll when cached', () => {
    const run = (useCachedMetrics: boolean) =>
      runModel(initialState(MODEL_START_MS, 1), modelSettings({ useCachedMetrics }), 15, [
        { at: 0, unacked: 1 },
        { at: 10, ready: 40 },
      ]);
    expect([run(false).state.replicas, run(true).state.replicas]).toEqual([4, 1]);
  });
});
