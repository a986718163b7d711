import { describe, expect, test } from 'vitest';
import { initialState, type ScalingSettings, type ScalingState } from '../../../keda/model.ts';
import { distinctCounts, hpaOnly, kedaOnly, MODEL_START_MS, modelSettings, runModel } from './run-model.ts';

const SECOND = 1_000;

describe('KEDA from zero and back', () => {
  test('wakes to one replica on the first poll that sees a message', () => {
    const { decisions } = runModel(kedaOnly(0), modelSettings(), 60, [{ at: 10, ready: 3 }]);
    expect(decisions.map(({ at, decision }) => [at, decision.replicas])).toEqual([
      [0, 0],
      [30, 1],
      [60, 1],
    ]);
    expect(decisions[1]?.decision.reasons[0]).toMatchObject({ by: 'keda', kind: 'activated' });
  });

  test('wakes to the minimum when that is above one', () => {
    const { replicas } = runModel(kedaOnly(0), modelSettings({ minReplicas: 3 }), 0, [{ at: 0, ready: 1 }]);
    expect(replicas).toEqual([3]);
  });

  test('stays at zero at exactly the activation count, and wakes at one more', () => {
    const config = modelSettings({ activationMessages: 5 });
    const { decisions } = runModel(kedaOnly(0), config, 60, [
      { at: 0, ready: 5 },
      { at: 60, ready: 6 },
    ]);
    expect(decisions.map(({ decision }) => decision.replicas)).toEqual([0, 0, 1]);
  });

  test('counts a task in work as active whatever the activation count', () => {
    const config = modelSettings({ activationMessages: 50, cooldownMs: 0 });
    const { replicas } = runModel(kedaOnly(1), config, 120, [{ at: 0, unacked: 1 }]);
    expect(distinctCounts(replicas)).toEqual([1]);
  });

  test('goes to zero at the first poll after lastActive plus cooldown, both in whole seconds', () => {
    const config = modelSettings({ pollingIntervalMs: SECOND / 2, cooldownMs: 10 * SECOND });
    const { decisions } = runModel(kedaOnly(1), config, 20, [
      { at: 0, ready: 1 },
      { at: 2, ready: 0 },
    ]);
    const zero = decisions.find(({ decision }) => decision.replicas === 0);
    // Last seen active at 1.9 s past the whole second, stored as 1 s; strictly more than 10 s after it is 11.4 s: at = 11.
    expect(zero?.at).toBe(11);
    expect(zero?.decision.reasons[0]).toMatchObject({ kind: 'scaled-to-zero' });
  });

  test('goes from any count to zero in one step, past every scale-down policy', () => {
    const rules = { stabilizationWindowMs: 300_000, selectPolicy: 'Disabled', policies: [] } as const;
    const behavior = { scaleUp: { ...rules, policies: [] }, scaleDown: { ...rules, policies: [] } };
    const config = modelSettings({ behavior, cooldownMs: 60 * SECOND });
    const { replicas } = runModel(initialState(MODEL_START_MS, 40), config, 300, [
      { at: 0, ready: 200 },
      { at: 20, ready: 0 },
    ]);
    expect(distinctCounts(replicas)).toEqual([40, 0]);
  });

  test('a queue that was never active waits for the initial cooldown instead', () => {
    const config = modelSettings({ initialCooldownMs: 90 * SECOND, cooldownMs: 3_600 * SECOND });
    const { decisions } = runModel(kedaOnly(2), config, 120, []);
    expect(decisions.map(({ decision }) => decision.replicas)).toEqual([2, 2, 2, 0, 0]);
  });

  test('never goes below a minimum above zero, and raises to it', () => {
    const { replicas } = runModel(kedaOnly(1), modelSettings({ minReplicas: 2, cooldownMs: 0 }), 60, []);
    expect(distinctCounts(replicas)).toEqual([2]);
  });
});

describe('outages', () => {
  const broken = [
    { at: 0, unacked: 2 },
    { at: 40, error: 'connection refused' },
  ];

  test('freezes while the broker cannot be read, long past the cooldown', () => {
    const config = modelSettings({ cooldownMs: 60 * SECOND });
    const { replicas, decisions } = runModel(initialState(MODEL_START_MS, 4), config, 3_600, broken);
    expect(distinctCounts(replicas)).toEqual([4]);
    expect(decisions.at(-1)?.decision.reasons.every(({ kind }) => kind === 'frozen')).toBe(true);
  });

  test('freezes at zero, too', () => {
    const { replicas } = runModel(initialState(MODEL_START_MS, 0), modelSettings(), 600, [
      { at: 0, error: 'timeout' },
    ]);
    expect(distinctCounts(replicas)).toEqual([0]);
  });

  test('fallback.replicas 0 is a trap: errors fall through to zero after the cooldown', () => {
    const fallback = { failureThreshold: 3, replicas: 0, behavior: 'static' } as const;
    const config = modelSettings({ cooldownMs: 60 * SECOND, fallback });
    const { state } = runModel(initialState(MODEL_START_MS, 4), config, 180, broken);
    expect(state.replicas).toBe(0);
  });

  test('the fallback count stands in once failures exceed the threshold, polls and syncs counted together', () => {
    const fallback = { failureThreshold: 3, replicas: 6, behavior: 'static' } as const;
    const { decisions } = runModel(initialState(MODEL_START_MS, 2), modelSettings({ fallback }), 90, broken);
    // Failures: sync 45, sync+poll 60 (poll first: 2 then 3), sync 75 is the fourth.
    const change = decisions.find(({ decision }) => decision.replicas !== 2);
    expect([change?.at, change?.decision.replicas]).toEqual([75, 4]);
  });

  test('an active fallback wakes a queue from zero during the outage', () => {
    const fallback = { failureThreshold: 2, replicas: 3, behavior: 'static' } as const;
    const { replicas } = runModel(kedaOnly(0), modelSettings({ fallback }), 90, [
      { at: 0, error: 'refused' },
    ]);
    expect(replicas).toEqual([0, 0, 1, 1]);
  });

  test.each([
    ['currentReplicas', 5, 5],
    ['currentReplicasIfHigher', 5, 5],
    ['currentReplicasIfHigher', 2, 3],
    ['currentReplicasIfLower', 2, 2],
  ] as const)('fallback behavior %s with 3 set keeps %i at %i', (behavior, current, expected) => {
    const fallback = { failureThreshold: 0, replicas: 3, behavior };
    const { state } = runModel(hpaOnly(current), modelSettings({ fallback }), 30, [
      { at: 0, error: 'refused' },
    ]);
    expect(state.replicas).toBe(expected);
  });

  test('with the whole broker away KEDA cannot even connect to ask the queue, so no fallback wakes or raises', () => {
    const fallback = { failureThreshold: 0, replicas: 3, behavior: 'currentReplicasIfHigher' } as const;
    const away = [{ at: 0, error: 'refused', unreachable: true }];
    const replicasWith = (wakeUp: ScalingSettings['wakeUp'], start: ScalingState) =>
      runModel(start, modelSettings({ fallback, wakeUp }), 90, away).state.replicas;

    expect([replicasWith('amqp', kedaOnly(0)), replicasWith('amqp', hpaOnly(2))]).toEqual([0, 2]);
    expect([replicasWith('http', kedaOnly(0)), replicasWith('http', hpaOnly(2))]).toEqual([1, 3]);
  });

  test('one good reading resets the failure count', () => {
    const fallback = { failureThreshold: 2, replicas: 9, behavior: 'static' } as const;
    const { state } = runModel(hpaOnly(2), modelSettings({ fallback }), 60, [
      { at: 0, error: 'refused' },
      { at: 30, unacked: 2 },
      { at: 45, error: 'refused' },
    ]);
    expect(state).toMatchObject({ replicas: 2, failures: 2 });
  });
});
