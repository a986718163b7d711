import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../keda/model.ts';
import type { QueueSample } from '../../keda/recommend/sample.ts';
import { recommend } from '../../keda/recommend.ts';

const SETTINGS = { ...DEFAULT_SETTINGS, maxReplicas: 20, messagesPerReplica: 5 };

/** Six samples, ten seconds apart, each made from its number. */
const minute = (sample: (n: number) => Partial<QueueSample>): QueueSample[] =>
  Array.from({ length: 6 }, (_, n) => ({ atMs: n * 10_000, ...queue(0, 0, 0), ...sample(n) }));

const queue = (ready: number, unacked: number, consumers: number) => ({ ready, unacked, consumers });

/** With 20 replicas at most, and 5 messages for each. */
const recommended = (sample: (n: number) => Partial<QueueSample>) => recommend(minute(sample), SETTINGS);

describe('recommend', () => {
  test('scales up by the backlog and says the sum', () => {
    expect(recommended(() => queue(57, 3, 3))).toMatchObject({
      action: 'scale-up',
      currentReplicas: 3,
      recommendedReplicas: 12,
      urgency: 'normal',
      reason: '60 messages at 5 a replica: 12 replicas are needed, 3 run',
    });
  });

  test('scales up to keep pace with arrivals before a backlog shows', () => {
    const result = recommended((n) => ({ ...queue(2, 4, 4), published: 200 * n, acknowledged: 100 * n }));
    expect(result).toMatchObject({ action: 'scale-up', recommendedReplicas: 8 });
    expect(result.reason).toMatch(/20\/s arrive and one worker completes 2\.5\/s/);
  });

  test('waking from zero is urgent', () => {
    const samples = minute((n) => ({ ready: n })).slice(-2);
    const expected = { action: 'scale-up', recommendedReplicas: 1, urgency: 'high' };
    expect(recommend(samples, SETTINGS)).toMatchObject(expected);
  });

  test('scales down to what is busy, never below', () => {
    expect(recommended(() => queue(0, 4, 10))).toMatchObject({
      action: 'scale-down',
      recommendedReplicas: 4,
      urgency: 'low',
      reason: '4 tasks are in work: 4 replicas suffice, 10 run (6 idle)',
    });
  });

  test('counts a consumer for each slot, and replicas by the slots they have', () => {
    const withSlots = (sample: (n: number) => Partial<QueueSample>) =>
      recommend(minute(sample), { ...SETTINGS, slots: 4, messagesPerReplica: 20 });

    expect(withSlots(() => queue(0, 9, 40))).toMatchObject({
      action: 'scale-down',
      currentReplicas: 10,
      recommendedReplicas: 3,
      reason: '9 tasks are in work, 4 a replica: 3 replicas suffice, 10 run (7 idle)',
    });
    // 10 a second by 4 busy slots: a replica of four does 10, and 25 arrive.
    const pace = withSlots((n) => ({ ...queue(4, 4, 4), published: 250 * n, acknowledged: 100 * n }));
    expect(pace).toMatchObject({ action: 'scale-up', currentReplicas: 1, recommendedReplicas: 3 });
    expect(pace.reason).toMatch(/25\/s arrive and one worker completes 10\/s/);
  });

  test('scales down to zero when there is nothing', () => {
    expect(recommended(() => queue(0, 0, 2))).toMatchObject({ action: 'scale-down', recommendedReplicas: 0 });
  });

  test('holds when the count is right, or off by less than the tolerance', () => {
    expect(recommended(() => queue(0, 3, 3)).action).toBe('hold');
    expect(recommended(() => queue(0, 11, 12)).action).toBe('hold');
  });

  test('holds rather than scale down while the backlog rises', () => {
    const result = recommended((n) => queue(n * 3, 2, 8));
    expect(result).toMatchObject({ action: 'hold', recommendedReplicas: 8 });
    expect(result.reason).toMatch(/rising/);
  });

  test('investigates messages that nobody comes for', () => {
    const result = recommended((n) => ({ ready: 40, atMs: n * 40_000 }));
    expect(result).toMatchObject({ action: 'investigate', urgency: 'critical' });
    expect(result.reason).toMatch(/40 messages have waited 3 m 20 s without a worker/);
  });

  test('investigates workers that hold messages and acknowledge none', () => {
    const counters = { published: 100, acknowledged: 87 };
    const expected = { action: 'investigate', recommendedReplicas: 4, urgency: 'high' };
    expect(recommended((n) => ({ ...queue(9, 4, 4), ...counters, atMs: n * 30_000 }))).toMatchObject(
      expected,
    );
  });

  test('investigates redeliveries instead of feeding more workers to them', () => {
    const counters = (n: number) => ({ published: 100, acknowledged: 10 + n, redelivered: 8 * n });
    const { reason } = recommended((n) => ({ ...queue(50, 4, 4), ...counters(n) }));
    expect(reason).toMatch(/40 redeliveries against 5 acknowledgements/);
  });

  test('investigates a backlog that grows with every replica running', () => {
    const result = recommended((n) => queue(500 + 40 * n, 20, 20));
    expect(result).toMatchObject({ action: 'investigate', urgency: 'critical' });
    expect(result.reason).toMatch(/raise maxReplicas/);
  });

  test('is less sure of one sample than of a steady minute', () => {
    const steady = minute((n) => ({ ...queue(50, 2, 2), published: 10 * n, acknowledged: 10 * n }));
    expect(recommend(steady.slice(-1), SETTINGS).confidence).toBeLessThan(0.5);
    expect(recommend(steady, SETTINGS).confidence).toBeGreaterThan(0.8);
  });

  test('says when the backlog will be gone', () => {
    const { facts } = recommended((n) => ({ ...queue(100, 4, 4), published: 50 * n, acknowledged: 70 * n }));
    expect(facts).toMatchObject({ arrivalRate: 5, completionRate: 7, drainMs: 52_000 });
  });

  test('whatever the queue, stays within bounds, or as it is when it investigates', () => {
    const sample = fc.record({
      ready: fc.nat(5_000),
      unacked: fc.nat(20),
      consumers: fc.nat(20),
      published: fc.nat(9_999),
      acknowledged: fc.nat(9_999),
    });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1, maxLength: 8 }), (entries) => {
        const samples = entries.map((entry, n) => ({ ...entry, atMs: n * 10_000 }));
        const { recommendedReplicas, confidence, reason } = recommend(samples, SETTINGS);
        expect(recommendedReplicas).toBeGreaterThanOrEqual(0);
        expect(recommendedReplicas).toBeLessThanOrEqual(20);
        expect(confidence).toBeGreaterThanOrEqual(0);
        expect(confidence).toBeLessThan(1);
        expect(reason).not.toMatch(/NaN|undefined|Infinity/);
      }),
    );
  });
});
