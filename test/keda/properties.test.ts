import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_SETTINGS,
  initialState,
  nextDueMs,
  type Observation,
  type ScalingRules,
  type ScalingSettings,
  type ScalingState,
  step,
} from '../../keda/model.ts';

fc.configureGlobal({ numRuns: 300 });

const SECOND = 1_000;
const rules: fc.Arbitrary<ScalingRules> = fc.record({
  stabilizationWindowMs: fc.integer({ min: 0, max: 600 }).map((seconds) => seconds * SECOND),
  selectPolicy: fc.constantFrom('Max', 'Min'),
  policies: fc.array(
    fc.record({
      type: fc.constantFrom('Pods', 'Percent'),
      value: fc.integer({ min: 1, max: 200 }),
      periodMs: fc.integer({ min: 1, max: 120 }).map((seconds) => seconds * SECOND),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});
const settings: fc.Arbitrary<ScalingSettings> = fc
  .record({
    minReplicas: fc.integer({ min: 0, max: 5 }),
    slots: fc.integer({ min: 1, max: 16 }),
    extra: fc.integer({ min: 1, max: 60 }),
    messagesPerReplica: fc.integer({ min: 1, max: 50 }),
    activationMessages: fc.integer({ min: 0, max: 20 }),
    pollingIntervalMs: fc.integer({ min: 1, max: 60 }).map((seconds) => seconds * SECOND),
    cooldownMs: fc.integer({ min: 0, max: 600 }).map((seconds) => seconds * SECOND),
    useCachedMetrics: fc.boolean(),
    behavior: fc.option(fc.record({ scaleUp: rules, scaleDown: rules })),
    hpaSyncJitterMs: fc.integer({ min: 0, max: 2_000 }),
  })
  .map(({ extra, ...rest }) => ({ ...DEFAULT_SETTINGS, ...rest, maxReplicas: rest.minReplicas + extra }));
const moment = fc.record({
  ready: fc.integer({ min: 0, max: 2_000 }),
  busy: fc.double({ min: 0, max: 1, noNaN: true }),
});
const load = fc.array(moment, { minLength: 1, maxLength: 40 });

interface Moment {
  nowMs: number;
  before: number;
  after: number;
  unacked: number;
  state: ScalingState;
}

/** Walks through `entries`, one each half minute; a share of the running replicas' slots is busy at each moment. */
function walk(
  config: ScalingSettings,
  entries: { ready: number; busy: number }[],
  error?: (at: number) => string | undefined,
): Moment[] {
  const moments: Moment[] = [];
  let state = initialState(0, config.minReplicas, 42);
  for (;;) {
    const nowMs = nextDueMs(state);
    const entry = entries[Math.floor(nowMs / (30 * SECOND))];
    if (entry === undefined) return moments;
    const unacked = Math.floor(state.replicas * config.slots * entry.busy);
    const seen: Observation = { nowMs, ready: entry.ready, unacked, error: error?.(nowMs) };
    const before = state.replicas;
    state = step(state, seen, config).state;
    moments.push({ nowMs, before, after: state.replicas, unacked, state });
  }
}

type Check = (config: ScalingSettings, entries: { ready: number; busy: number }[]) => void;
const always = (check: Check) => fc.assert(fc.property(settings, load, check));
const idle = (ready: number) => ({ ready, busy: 0 });

describe('whatever the settings and the load, the count', () => {
  test('never falls below what the busy slots fill', () => {
    always((config, entries) => {
      // Cached counts are of another moment; what holds is the floor at the moment of reading.
      for (const { after, unacked } of walk({ ...config, useCachedMetrics: false }, entries))
        expect(after).toBeGreaterThanOrEqual(Math.ceil(unacked / config.slots));
    });
  });

  test('stays between the minimum, or zero, and the maximum', () => {
    always((config, entries) => {
      for (const { after } of walk(config, entries)) {
        expect(after).toBeLessThanOrEqual(config.maxReplicas);
        expect(after).toBeGreaterThanOrEqual(config.minReplicas);
      }
    });
  });

  test('reaches zero once the load has ended, within the cooldown and two polls', () => {
    always((config, entries) => {
      const allowedMs = config.cooldownMs + 2 * config.pollingIntervalMs + SECOND;
      const quiet = Array.from({ length: Math.ceil(allowedMs / (30 * SECOND)) + 1 }, () => idle(0));
      expect(walk({ ...config, minReplicas: 0 }, [...entries, ...quiet]).at(-1)?.after).toBe(0);
    });
  });

  test('does not fall and rise again within the scale-down window while the need only wavers', () => {
    const calm = { minReplicas: 0, behavior: null, messagesPerReplica: 1, activationMessages: 0 };
    fc.assert(
      fc.property(settings, fc.integer({ min: 1, max: 40 }), (config, high) => {
        const wavering = Array.from({ length: 60 }, (_, index) => idle(index % 2 === 0 ? high : 1));
        const counts = walk({ ...config, ...calm, useCachedMetrics: false }, wavering)
          .filter(({ nowMs }) => nowMs > 300 * SECOND)
          .map(({ after }) => after);
        expect(counts.every((count, index) => index === 0 || count >= (counts[index - 1] ?? 0))).toBe(true);
      }),
    );
  });

  test('does not change at all while the broker cannot be read', () => {
    const outage = (at: number) => (at >= 60 * SECOND ? 'connection refused' : undefined);
    always((config, entries) => {
      const moments = walk({ ...config, useCachedMetrics: false }, Array(3).fill(entries).flat(), outage);
      for (const { before, after } of moments.filter(({ nowMs }) => nowMs >= 60 * SECOND))
        expect(after).toBe(before);
    });
  });

  test('is the same for the same past', () => {
    always((config, entries) => {
      expect(walk(config, entries)).toEqual(walk(config, entries));
    });
  });
});
