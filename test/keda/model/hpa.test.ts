import { describe, expect, test } from 'vitest';
import { settingsFromValues, step } from '../../../keda/model.ts';
import {
  distinctCounts,
  hpaOnly,
  MODEL_START_MS,
  modelSettings,
  runModel,
  WITH_BEHAVIOR,
} from './run-model.ts';

describe('the HPA without a behavior', () => {
  test('from 1 it reaches 4, 8, 16: the count doubles, with 4 as the least limit', () => {
    const { replicas } = runModel(hpaOnly(1), modelSettings(), 60, [{ at: 0, ready: 1_000 }]);
    expect(replicas).toEqual([4, 8, 16, 32, 64]);
  });

  test('stops at the maximum', () => {
    const { replicas } = runModel(hpaOnly(1), modelSettings({ maxReplicas: 10 }), 60, [
      { at: 0, ready: 1_000 },
    ]);
    expect(replicas).toEqual([4, 8, 10, 10, 10]);
  });

  test('goes down only when 300 s of recommendations agree', () => {
    const { decisions } = runModel(hpaOnly(10), modelSettings(), 600, [
      { at: 0, ready: 50 },
      { at: 60, ready: 5 },
    ]);
    const down = decisions.find(({ decision }) => decision.replicas < 10);
    // The last recommendation of 10 is from 45 s; it still counts when exactly 300 s old.
    expect([down?.at, down?.decision.replicas]).toEqual([360, 1]);
  });

  test('rests at zero: only KEDA wakes', () => {
    const { decisions } = runModel(hpaOnly(0), modelSettings(), 30, [{ at: 0, ready: 100 }]);
    expect(decisions.map(({ decision }) => decision.reasons[0]?.kind)).toEqual([
      'disabled',
      'disabled',
      'disabled',
    ]);
  });

  test('never goes below one, for zero is KEDA’s', () => {
    const { state } = runModel(hpaOnly(3), modelSettings(), 900, []);
    expect(state.replicas).toBe(1);
  });

  test('brings a count outside the bounds back at once', () => {
    const above = runModel(hpaOnly(40), modelSettings({ maxReplicas: 10 }), 0, [{ at: 0, ready: 1_000 }]);
    const below = runModel(hpaOnly(1), modelSettings({ minReplicas: 3 }), 0, []);
    expect([above.state.replicas, below.state.replicas]).toEqual([10, 3]);
  });
});

describe('the HPA with a behavior', () => {
  test('from 1 it reaches 5, 10, 20: the larger of +4 and ×2 every 15 s', () => {
    const { replicas } = runModel(hpaOnly(1), modelSettings({ behavior: WITH_BEHAVIOR }), 45, [
      { at: 0, ready: 1_000 },
    ]);
    expect(replicas).toEqual([5, 10, 20, 40]);
  });

  test('a sync that comes early still sees the last event and holds for one tick', () => {
    const early = runModel(hpaOnly(1), modelSettings({ behavior: WITH_BEHAVIOR }), 0, [
      { at: 0, ready: 1_000 },
    ]).state;
    const config = modelSettings({ behavior: WITH_BEHAVIOR });
    const nowMs = MODEL_START_MS + 14_900;
    const blocked = step({ ...early, nextSyncMs: nowMs }, { nowMs, ready: 1_000, unacked: 0 }, config);
    expect(early.replicas).toBe(5);
    expect(blocked.replicas).toBe(5);
    expect(blocked.reasons.map(({ kind }) => kind)).toContain('limited');
  });

  test('setting only scaleDown fills in the rest from the defaults of Kubernetes', () => {
    expect(WITH_BEHAVIOR).toEqual({
      scaleUp: {
        stabilizationWindowMs: 0,
        selectPolicy: 'Max',
        policies: [
          { type: 'Pods', value: 4, periodMs: 15_000 },
          { type: 'Percent', value: 100, periodMs: 15_000 },
        ],
      },
      scaleDown: {
        stabilizationWindowMs: 300_000,
        selectPolicy: 'Max',
        policies: [{ type: 'Percent', value: 100, periodMs: 15_000 }],
      },
    });
  });

  const scaleDown = (rules: Record<string, unknown>) =>
    settingsFromValues({ defaults: { scaling: { maxReplicas: 100, behavior: { scaleDown: rules } } } }, '');

  test('percent truncates on the way down: half of 5 is 2', () => {
    const policies = [{ type: 'Percent', value: 50, periodSeconds: 60 }];
    const config = scaleDown({ stabilizationWindowSeconds: 0, policies });
    expect(distinctCounts(runModel(hpaOnly(5), config, 130, [{ at: 0, ready: 1 }]).replicas)).toEqual([2, 1]);
  });

  test('selectPolicy Min takes the smallest change, Max the largest', () => {
    const policies = [
      { type: 'Percent', value: 50, periodSeconds: 60 },
      { type: 'Pods', value: 1, periodSeconds: 60 },
    ];
    const first = (selectPolicy: string) =>
      runModel(hpaOnly(10), scaleDown({ stabilizationWindowSeconds: 0, selectPolicy, policies }), 0, [
        { at: 0, ready: 1 },
      ]).state.replicas;
    expect([first('Min'), first('Max')]).toEqual([9, 5]);
  });

  test('selectPolicy Disabled holds the count', () => {
    const config = scaleDown({ stabilizationWindowSeconds: 0, selectPolicy: 'Disabled' });
    expect(distinctCounts(runModel(hpaOnly(10), config, 600, []).replicas)).toEqual([10]);
  });

  test('a policy of one pod a minute takes one pod a minute', () => {
    const policies = [{ type: 'Pods', value: 1, periodSeconds: 60 }];
    const config = scaleDown({ stabilizationWindowSeconds: 0, policies });
    const { decisions } = runModel(hpaOnly(4), config, 180, []);
    const changes = decisions.filter(
      ({ decision }, index) => decision.replicas !== (decisions[index - 1]?.decision.replicas ?? 4),
    );
    expect(changes.map(({ at, decision }) => [at, decision.replicas])).toEqual([
      [0, 3],
      [60, 2],
      [120, 1],
    ]);
  });

  test('a scale-up window waits until every recommendation in it agrees', () => {
    const behavior = { scaleUp: { stabilizationWindowSeconds: 60 } };
    const config = settingsFromValues({ defaults: { scaling: { maxReplicas: 100, behavior } } }, '');
    const { decisions } = runModel(hpaOnly(2), config, 120, [
      { at: 0, unacked: 2 },
      { at: 30, ready: 50 },
    ]);
    const up = decisions.find(({ decision }) => decision.replicas > 2);
    // The last "2" is from 15 s and no longer counts when exactly 60 s old.
    expect(up?.at).toBe(75);
  });
});
