import { describe, expect, test } from 'vitest';
import {
  DEFAULT_SETTINGS,
  initialState,
  nextDueMs,
  type Observation,
  type ScalingDecision,
  type ScalingSettings,
  type ScalingState,
  settingsFromValues,
  step,
} from '../../keda/model.ts';

const SECOND = 1_000;
/** 2026-01-01T00:00:00.400Z: not a whole second, so that whole-second storage shows. */
const START = 1_767_225_600_400;
const WITH_BEHAVIOR = settingsFromValues(
  { defaults: { scaling: { behavior: { scaleDown: {} } } } },
  '',
).behavior;

const settings = (changes: Partial<ScalingSettings> = {}): ScalingSettings => ({
  ...DEFAULT_SETTINGS,
  maxReplicas: 100,
  messagesPerReplica: 5,
  pollingIntervalMs: 30 * SECOND,
  ...changes,
});

interface Seen extends Partial<Observation> {
  /** Seconds after START. */
  at: number;
}

/** Steps at every due moment up to `until` seconds, seeing the latest of `seen`; returns each decision with its second. */
function play(start: ScalingState, config: ScalingSettings, until: number, seen: Seen[]) {
  const decisions: { at: number; decision: ScalingDecision }[] = [];
  let state = start;
  while (nextDueMs(state) <= START + until * SECOND) {
    const nowMs = nextDueMs(state);
    const at = (nowMs - START) / SECOND;
    const { at: _, ...counts } = seen.findLast((entry) => entry.at <= at) ?? { at: 0 };
    const decision = step(state, { ready: 0, unacked: 0, ...counts, nowMs }, config);
    decisions.push({ at, decision });
    state = decision.state;
  }
  return { state, decisions, replicas: decisions.map(({ decision }) => decision.replicas) };
}

/** The distinct counts, in order. */
function path(replicas: number[]): number[] {
  return replicas.filter((count, index) => count !== replicas[index - 1]);
}

/** A state whose HPA syncs on the quarter minutes while KEDA does not poll. */
const hpaOnly = (replicas: number): ScalingState => ({
  ...initialState(START, replicas),
  nextPollMs: Number.POSITIVE_INFINITY,
});
const kedaOnly = (replicas: number): ScalingState => ({
  ...initialState(START, replicas),
  nextSyncMs: Number.POSITIVE_INFINITY,
});

describe('KEDA from zero and back', () => {
  test('wakes to one replica on the first poll that sees a message', () => {
    const { decisions } = play(kedaOnly(0), settings(), 60, [{ at: 10, ready: 3 }]);
    expect(decisions.map(({ at, decision }) => [at, decision.replicas])).toEqual([
      [0, 0],
      [30, 1],
      [60, 1],
    ]);
    expect(decisions[1]?.decision.reasons[0]).toMatchObject({ by: 'keda', kind: 'activated' });
  });

  test('wakes to the minimum when that is above one', () => {
    const { replicas } = play(kedaOnly(0), settings({ minReplicas: 3 }), 0, [{ at: 0, ready: 1 }]);
    expect(replicas).toEqual([3]);
  });

  test('stays at zero at exactly the activation count, and wakes at one more', () => {
    const config = settings({ activationMessages: 5 });
    const { decisions } = play(kedaOnly(0), config, 60, [
      { at: 0, ready: 5 },
      { at: 60, ready: 6 },
    ]);
    expect(decisions.map(({ decision }) => decision.replicas)).toEqual([0, 0, 1]);
  });

  test('counts a task in work as active whatever the activation count', () => {
    const config = settings({ activationMessages: 50, cooldownMs: 0 });
    const { replicas } = play(kedaOnly(1), config, 120, [{ at: 0, unacked: 1 }]);
    expect(path(replicas)).toEqual([1]);
  });

  test('goes to zero at the first poll after lastActive plus cooldown, both in whole seconds', () => {
    const config = settings({ pollingIntervalMs: SECOND / 2, cooldownMs: 10 * SECOND });
    const { decisions } = play(kedaOnly(1), config, 20, [
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
    const config = settings({ behavior, cooldownMs: 60 * SECOND });
    const { replicas } = play(initialState(START, 40), config, 300, [
      { at: 0, ready: 200 },
      { at: 20, ready: 0 },
    ]);
    expect(path(replicas)).toEqual([40, 0]);
  });

  test('a queue that was never active waits for the initial cooldown instead', () => {
    const config = settings({ initialCooldownMs: 90 * SECOND, cooldownMs: 3_600 * SECOND });
    const { decisions } = play(kedaOnly(2), config, 120, []);
    expect(decisions.map(({ decision }) => decision.replicas)).toEqual([2, 2, 2, 0, 0]);
  });

  test('never goes below a minimum above zero, and raises to it', () => {
    const { replicas } = play(kedaOnly(1), settings({ minReplicas: 2, cooldownMs: 0 }), 60, []);
    expect(path(replicas)).toEqual([2]);
  });
});

describe('outages', () => {
  const broken = [
    { at: 0, unacked: 2 },
    { at: 40, error: 'connection refused' },
  ];

  test('freezes while the broker cannot be read, long past the cooldown', () => {
    const config = settings({ cooldownMs: 60 * SECOND });
    const { replicas, decisions } = play(initialState(START, 4), config, 3_600, broken);
    expect(path(replicas)).toEqual([4]);
    expect(decisions.at(-1)?.decision.reasons.every(({ kind }) => kind === 'frozen')).toBe(true);
  });

  test('freezes at zero, too', () => {
    const { replicas } = play(initialState(START, 0), settings(), 600, [{ at: 0, error: 'timeout' }]);
    expect(path(replicas)).toEqual([0]);
  });

  test('fallback.replicas 0 is a trap: errors fall through to zero after the cooldown', () => {
    const fallback = { failureThreshold: 3, replicas: 0, behavior: 'static' } as const;
    const config = settings({ cooldownMs: 60 * SECOND, fallback });
    const { state } = play(initialState(START, 4), config, 180, broken);
    expect(state.replicas).toBe(0);
  });

  test('the fallback count stands in once failures exceed the threshold, polls and syncs counted together', () => {
    const fallback = { failureThreshold: 3, replicas: 6, behavior: 'static' } as const;
    const { decisions } = play(initialState(START, 2), settings({ fallback }), 90, broken);
    // Failures: sync 45, sync+poll 60 (poll first: 2 then 3), sync 75 is the fourth.
    const change = decisions.find(({ decision }) => decision.replicas !== 2);
    expect([change?.at, change?.decision.replicas]).toEqual([75, 4]);
  });

  test('an active fallback wakes a queue from zero during the outage', () => {
    const fallback = { failureThreshold: 2, replicas: 3, behavior: 'static' } as const;
    const { replicas } = play(kedaOnly(0), settings({ fallback }), 90, [{ at: 0, error: 'refused' }]);
    expect(replicas).toEqual([0, 0, 1, 1]);
  });

  test.each([
    ['currentReplicas', 5, 5],
    ['currentReplicasIfHigher', 5, 5],
    ['currentReplicasIfHigher', 2, 3],
    ['currentReplicasIfLower', 2, 2],
  ] as const)('fallback behavior %s with 3 set keeps %i at %i', (behavior, current, expected) => {
    const fallback = { failureThreshold: 0, replicas: 3, behavior };
    const { state } = play(hpaOnly(current), settings({ fallback }), 30, [{ at: 0, error: 'refused' }]);
    expect(state.replicas).toBe(expected);
  });

  test('one good reading resets the failure count', () => {
    const fallback = { failureThreshold: 2, replicas: 9, behavior: 'static' } as const;
    const { state } = play(hpaOnly(2), settings({ fallback }), 60, [
      { at: 0, error: 'refused' },
      { at: 30, unacked: 2 },
      { at: 45, error: 'refused' },
    ]);
    expect(state).toMatchObject({ replicas: 2, failures: 2 });
  });
});

describe('the HPA without a behavior', () => {
  test('from 1 it reaches 4, 8, 16: the count doubles, with 4 as the least limit', () => {
    const { replicas } = play(hpaOnly(1), settings(), 60, [{ at: 0, ready: 1_000 }]);
    expect(replicas).toEqual([4, 8, 16, 32, 64]);
  });

  test('stops at the maximum', () => {
    const { replicas } = play(hpaOnly(1), settings({ maxReplicas: 10 }), 60, [{ at: 0, ready: 1_000 }]);
    expect(replicas).toEqual([4, 8, 10, 10, 10]);
  });

  test('goes down only when 300 s of recommendations agree', () => {
    const { decisions } = play(hpaOnly(10), settings(), 600, [
      { at: 0, ready: 50 },
      { at: 60, ready: 5 },
    ]);
    const down = decisions.find(({ decision }) => decision.replicas < 10);
    // The last recommendation of 10 is from 45 s; it still counts when exactly 300 s old.
    expect([down?.at, down?.decision.replicas]).toEqual([360, 1]);
  });

  test('rests at zero: only KEDA wakes', () => {
    const { decisions } = play(hpaOnly(0), settings(), 30, [{ at: 0, ready: 100 }]);
    expect(decisions.map(({ decision }) => decision.reasons[0]?.kind)).toEqual([
      'disabled',
      'disabled',
      'disabled',
    ]);
  });

  test('never goes below one, for zero is KEDA’s', () => {
    const { state } = play(hpaOnly(3), settings(), 900, []);
    expect(state.replicas).toBe(1);
  });

  test('brings a count outside the bounds back at once', () => {
    const above = play(hpaOnly(40), settings({ maxReplicas: 10 }), 0, [{ at: 0, ready: 1_000 }]);
    const below = play(hpaOnly(1), settings({ minReplicas: 3 }), 0, []);
    expect([above.state.replicas, below.state.replicas]).toEqual([10, 3]);
  });
});

describe('the HPA with a behavior', () => {
  test('from 1 it reaches 5, 10, 20: the larger of +4 and ×2 every 15 s', () => {
    const { replicas } = play(hpaOnly(1), settings({ behavior: WITH_BEHAVIOR }), 45, [
      { at: 0, ready: 1_000 },
    ]);
    expect(replicas).toEqual([5, 10, 20, 40]);
  });

  test('a sync that comes early still sees the last event and holds for one tick', () => {
    const early = play(hpaOnly(1), settings({ behavior: WITH_BEHAVIOR }), 0, [{ at: 0, ready: 1_000 }]).state;
    const config = settings({ behavior: WITH_BEHAVIOR });
    const nowMs = START + 14_900;
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
    expect(path(play(hpaOnly(5), config, 130, [{ at: 0, ready: 1 }]).replicas)).toEqual([2, 1]);
  });

  test('selectPolicy Min takes the smallest change, Max the largest', () => {
    const policies = [
      { type: 'Percent', value: 50, periodSeconds: 60 },
      { type: 'Pods', value: 1, periodSeconds: 60 },
    ];
    const first = (selectPolicy: string) =>
      play(hpaOnly(10), scaleDown({ stabilizationWindowSeconds: 0, selectPolicy, policies }), 0, [
        { at: 0, ready: 1 },
      ]).state.replicas;
    expect([first('Min'), first('Max')]).toEqual([9, 5]);
  });

  test('selectPolicy Disabled holds the count', () => {
    const config = scaleDown({ stabilizationWindowSeconds: 0, selectPolicy: 'Disabled' });
    expect(path(play(hpaOnly(10), config, 600, []).replicas)).toEqual([10]);
  });

  test('a policy of one pod a minute takes one pod a minute', () => {
    const policies = [{ type: 'Pods', value: 1, periodSeconds: 60 }];
    const config = scaleDown({ stabilizationWindowSeconds: 0, policies });
    const { decisions } = play(hpaOnly(4), config, 180, []);
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
    const { decisions } = play(hpaOnly(2), config, 120, [
      { at: 0, unacked: 2 },
      { at: 30, ready: 50 },
    ]);
    const up = decisions.find(({ decision }) => decision.replicas > 2);
    // The last "2" is from 15 s and no longer counts when exactly 60 s old.
    expect(up?.at).toBe(75);
  });
});

describe('the metric', () => {
  const decide = (replicas: number, seen: Partial<Observation>, changes: Partial<ScalingSettings> = {}) =>
    step(hpaOnly(replicas), { nowMs: START, ready: 0, unacked: 0, ...seen }, settings(changes));

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
      play(initialState(START, 1), settings({ useCachedMetrics }), 15, [
        { at: 0, unacked: 1 },
        { at: 10, ready: 40 },
      ]);
    expect([run(false).state.replicas, run(true).state.replicas]).toEqual([4, 1]);
  });
});

describe('one step', () => {
  test('does nothing before it is due', () => {
    const { state } = step(initialState(START, 0), { nowMs: START, ready: 0, unacked: 0 }, settings());
    const early = step(state, { nowMs: nextDueMs(state) - 1, ready: 99, unacked: 0 }, settings());
    expect(early).toEqual({ state, replicas: 0, reasons: [] });
  });

  test('leaves the state it was given as it was', () => {
    const before = initialState(START, 1);
    const copy = structuredClone(before);
    step(before, { nowMs: START, ready: 100, unacked: 1 }, settings({ behavior: WITH_BEHAVIOR }));
    expect(before).toEqual(copy);
  });

  test('explains itself in words', () => {
    const { reasons } = step(initialState(START, 1), { nowMs: START, ready: 98, unacked: 2 }, settings());
    expect(reasons.map(({ by, text }) => `${by}: ${text}`)).toEqual([
      'keda: 100 messages: stays awake',
      'hpa: metric 20 at 1 a replica asks for 20: 1 → 4',
      'hpa: held at 4: one sync reaches at most 4',
    ]);
  });
});
