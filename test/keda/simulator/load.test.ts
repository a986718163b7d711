import { describe, expect, test } from 'vitest';
import { countsLoad, type Load, profileLoad, scaleCounts } from '../../../keda/simulator.ts';

const HOUR = 3_600_000;

describe('loads', () => {
  const inOrder = ({ arrivalsMs }: Load) =>
    arrivalsMs.every((at, index) => index === 0 || at >= (arrivalsMs[index - 1] ?? 0));

  test.each(['burst', 'ramp', 'steady', 'spike', 'daily'] as const)(
    '%s has the messages asked for, in order, in time',
    (profile) => {
      const load = profileLoad(profile, 5_000, HOUR, 1);
      expect(load.arrivalsMs).toHaveLength(5_000);
      expect(inOrder(load)).toBe(true);
      expect(load.arrivalsMs[0]).toBeGreaterThanOrEqual(0);
      expect(load.arrivalsMs.at(-1)).toBeLessThanOrEqual(HOUR);
    },
  );

  test('a ramp puts three quarters into its second half, a spike half into its tenth', () => {
    const share = (profile: 'ramp' | 'spike', from: number, to: number) =>
      profileLoad(profile, 100_000, 1, 1).arrivalsMs.filter((at) => at >= from && at < to).length / 100_000;
    expect(share('ramp', 0.5, 1)).toBeCloseTo(0.75, 2);
    expect(share('spike', 0.45, 0.55)).toBeCloseTo(10 / 19, 2);
  });

  test('counts a second stay in their second, and scale to an exact total', () => {
    const load = countsLoad([2, 0, 3], 1);
    expect([...load.arrivalsMs].map((at) => Math.floor(at / 1_000))).toEqual([0, 0, 2, 2, 2]);
    expect(scaleCounts([1, 1, 1], 10).reduce((sum, count) => sum + count, 0)).toBe(10);
  });
});
