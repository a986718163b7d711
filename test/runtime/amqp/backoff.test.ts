import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff } from '../../../runtime/amqp/backoff.ts';

test('doubles from 100 ms to 5 s, and begins again after a connection that lasted', () => {
  const backoff = new Backoff(() => 1);

  const waits = Array.from({ length: 9 }, () => backoff.next(0));

  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  expect(backoff.next(60_000)).toBe(100);
});

test('never waits longer than 5 s nor less than 50 ms', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000)), fc.double({ min: 0, max: 1, noNaN: true }), (lasted, random) => {
      const backoff = new Backoff(() => random);
      for (const ms of lasted) {
        const wait = backoff.next(ms);
        expect(wait).toBeGreaterThanOrEqual(50);
        expect(wait).toBeLessThanOrEqual(5000);
      }
    }),
  );
});
