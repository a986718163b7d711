import { describe, expect, test } from 'vitest';
import { initialState, nextDueMs, step } from '../../keda/model.ts';
import { MODEL_START_MS, modelSettings, WITH_BEHAVIOR } from './model/run-model.ts';

describe('one step', () => {
  test('does nothing before it is due', () => {
    const { state } = step(
      initialState(MODEL_START_MS, 0),
      { nowMs: MODEL_START_MS, ready: 0, unacked: 0 },
      modelSettings(),
    );
    const early = step(state, { nowMs: nextDueMs(state) - 1, ready: 99, unacked: 0 }, modelSettings());
    expect(early).toEqual({ state, replicas: 0, reasons: [] });
  });

  test('leaves the state it was given as it was', () => {
    const before = initialState(MODEL_START_MS, 1);
    const copy = structuredClone(before);
    step(
      before,
      { nowMs: MODEL_START_MS, ready: 100, unacked: 1 },
      modelSettings({ behavior: WITH_BEHAVIOR }),
    );
    expect(before).toEqual(copy);
  });

  test('explains itself in words', () => {
    const { reasons } = step(
      initialState(MODEL_START_MS, 1),
      { nowMs: MODEL_START_MS, ready: 98, unacked: 2 },
      modelSettings(),
    );
    expect(reasons.map(({ by, text }) => `${by}: ${text}`)).toEqual([
      'keda: 100 messages: stays awake',
      'hpa: metric 20 at 1 a replica asks for 20: 1 → 4',
      'hpa: held at 4: one sync reaches at most 4',
    ]);
  });
});
