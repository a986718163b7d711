import { describe, expect, test } from 'vitest';
import { UserError } from '../../../runtime/errors.ts';
import { amountOf, arrivalsOf, LOAD_PROFILES } from '../profiles.ts';

describe('messages, duration and rate', () => {
  test('the third follows from the other two', () => {
    expect(amountOf('steady', { messages: 100, rate: 5 })).toEqual({ messages: 100, durationMs: 20_000 });
    expect(amountOf('steady', { durationMs: 30_000, rate: 4 })).toEqual({
      messages: 120,
      durationMs: 30_000,
    });
    expect(amountOf('ramp', { messages: 7, durationMs: 1_000 })).toEqual({ messages: 7, durationMs: 1_000 });
  });

  test('a profile alone says enough', () => {
    for (const profile of LOAD_PROFILES) {
      const { messages, durationMs } = amountOf(profile, {});
      expect(messages).toBeGreaterThan(0);
      expect(durationMs).toBeGreaterThan(0);
    }
  });

  test('all three at once contradict each other', () => {
    expect(() => amountOf('steady', { messages: 1, durationMs: 1, rate: 1 })).toThrow(UserError);
  });

  test('a burst has no rate and no duration', () => {
    expect(() => amountOf('burst', { rate: 5 })).toThrow(/--profile steady/);
    expect(() => amountOf('burst', { durationMs: 5 })).toThrow(UserError);
  });
});

describe('arrivals', () => {
  test.each(LOAD_PROFILES)('of %s are as many as asked, in order, within the duration', (profile) => {
    const amount =
      profile === 'burst' ? amountOf(profile, { messages: 500 }) : { messages: 500, durationMs: 60_000 };
    const { arrivalsMs } = arrivalsOf(profile, amount, 1);
    expect(arrivalsMs).toHaveLength(500);
    expect([...arrivalsMs]).toEqual([...arrivalsMs].sort((a, b) => a - b));
    expect(arrivalsMs[0]).toBeGreaterThanOrEqual(0);
    expect(arrivalsMs.at(-1)).toBeLessThanOrEqual(amount.durationMs);
  });

  test('are the same for the same seed and others for another', () => {
    const amount = { messages: 50, durationMs: 10_000 };
    expect(arrivalsOf('steady', amount, 3)).toEqual(arrivalsOf('steady', amount, 3));
    expect(arrivalsOf('steady', amount, 4)).not.toEqual(arrivalsOf('steady', amount, 3));
  });

  test('of a spike come mostly in its middle tenth', () => {
    const { arrivalsMs } = arrivalsOf('spike', { messages: 1_000, durationMs: 100_000 }, 1);
    const middle = arrivalsMs.filter((ms) => ms > 45_000 && ms < 55_000);
    expect(middle.length).toBeGreaterThan(450);
    expect(middle.length).toBeLessThan(600);
  });
});
