import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../keda/model.ts';
import type { QueueSample } from '../../keda/recommend/sample.ts';
import { recommend } from '../../keda/recommend.ts';

const SETTINGS = { ...DEFAULT_SETTINGS, maxReplicas: 20, messagesPerReplica: 5 };

/** Six samples, ten seconds apart, each made from its number. */
const minute = (sample: (n: number) => Partial<QueueSample>): QueueSample[] =>
  Array.from({ length: 6 }, (_, n) => ({
    atMs: n * 10_000,
    ready: 0,
    unacked: 0,
    consumers: 0,
    ...sample(n),
  }));

describe('recommend', () => {
  test('scales up by the backlog and says the sum', () => {
    const result = recommend(
      minute(() => ({ ready: 57, unacked: 3, consumers: 3 })),
      SETTINGS,
    );
    expect(result).toMatchObject({
      action: 'scale-up',
      currentReplicas: 3,
      recommendedReplicas: 12,
      urgency: 'normal',
    });
    expect(result.reason).toBe('60 messages at 5 a replica: 12 replicas are needed, 3 run');
  });

  test('scales up to keep pace with arrivals before a backlog shows', () => {
    const samples = minute((n) => ({
      ready: 2,
      unacked: 4,
      consumers: 4,
      published: 200 * n,
      acknowledged: 100 * n,
    }));
    const result = recommend(samples, SETTINGS);
    expect(result).toMatchObject({ action: 'scale-up', recommendedReplicas: 8 });
    expect(result.reason).toMatch(/20\/s arrive and one worker completes 2\.5\/s/);
  });

  test('waking from zero is urgent', () => {
    const samples = minute((n) => ({ ready: n })).slice(-2);
    expect(recommend(samples, SETTINGS)).toMatchObject({
      action: 'scale-up',
      recommendedReplicas: 1,
      urgency: 'high',
    });
  });

  test('scales down to what is busy, never below', () => {
    const result = recommend(
      minute(() => ({ unacked: 4, consumers: 10 })),
      SETTINGS,
    );
    expect(result).toMatchObject({ action: 'scale-down', recommendedReplicas: 4, urgency: 'low' });
    expect(result.reason).toBe('4 tasks are in work: 4 replicas suffice, 10 run (6 idle)');
  });

  test('scales down to zero when there is nothing', () => {
    expect(
      recommend(
        minute(() => ({ consumers: 2 })),
        SETTINGS,
      ),
    ).toMatchObject({ action: 'scale-down', recommendedReplicas: 0 });
  });

  test('holds when the count is right, or off by less than the tolerance', () => {
    const right = recommend(
      minute(() => ({ unacked: 3, consumers: 3 })),
      SETTINGS,
    );
    const near = recommend(
      minute(() => ({ unacked: 11, consumers: 12 })),
      SETTINGS,
    );
    expect([right.action, near.action]).toEqual(['hold', 'hold']);
  });

  test('holds rather than scale down while the backlog rises', () => {
    const result = recommend(
      minute((n) => ({ ready: n * 3, unacked: 2, consumers: 8 })),
      SETTINGS,
    );
    expect(result).toMatchObject({ action: 'hold', recommendedReplicas: 8 });
    expect(result.reason).toMatch(/rising/);
  });

  test('investigates messages that nobody comes for', () => {
    const samples = minute(() => ({ ready: 40 })).map((sample) => ({ ...sample, atMs: sample.atMs * 4 }));
    const result = recommend(samples, SETTINGS);
    expect(result).toMatchObject({ action: 'investigate', urgency: 'critical' });
    expect(result.reason).toMatch(/40 messages have waited 3 m 20 s without a worker/);
  });

  test('investigates workers that hold messages and acknowledge none', () => {
    const samples = minute((n) => ({
      atMs: n * 30_000,
      ready: 9,
      unacked: 4,
      consumers: 4,
      published: 100,
      acknowledged: 87,
    }));
    expect(recommend(samples, SETTINGS)).toMatchObject({
      action: 'investigate',
      recommendedReplicas: 4,
      urgency: 'high',
    });
  });

  test('investigates redeliveries instead of feeding more workers to them', () => {
    const samples = minute((n) => ({
      ready: 50,
      unacked: 4,
      consumers: 4,
      published: 100,
      acknowledged: 10 + n,
      redelivered: 8 * n,
    }));
    expect(recommend(samples, SETTINGS).reason).toMatch(/40 redeliveries against 5 acknowledgements/);
  });

  test('investigates a backlog that grows with every replica running', () => {
    const samples = minute((n) => ({ ready: 500 + 40 * n, unacked: 20, consumers: 20 }));
    const result = recommend(samples, SETTINGS);
    expect(result).toMatchObject({ action: 'investigate', urgency: 'critical' });
    expect(result.reason).toMatch(/raise maxReplicas/);
  });

  test('is less sure of one sample than of a steady minute', () => {
    const steady = minute((n) => ({
      ready: 50,
      unacked: 2,
      consumers: 2,
      published: 10 * n,
      acknowledged: 10 * n,
    }));
    const one = recommend(steady.slice(-1), SETTINGS).confidence;
    expect(one).toBeLessThan(0.5);
    expect(recommend(steady, SETTINGS).confidence).toBeGreaterThan(0.8);
  });

  test('says when the backlog will be gone', () => {
    const samples = minute((n) => ({
      ready: 100,
      unacked: 4,
      consumers: 4,
      published: 50 * n,
      acknowledged: 70 * n,
    }));
    expect(recommend(samples, SETTINGS).facts).toMatchObject({
      arrivalRate: 5,
      completionRate: 7,
      drainMs: 52_000,
    });
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
