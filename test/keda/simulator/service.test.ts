import { describe, expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../../keda/model.ts';
import { parseServiceTime, profileLoad, simulate } from '../../../keda/simulator.ts';

const HOUR = 3_600_000;

describe('service times', () => {
  test('a lognormal has the mean and the p95 it was given', () => {
    const load = profileLoad('steady', 200_000, 1_000 * HOUR, 1);
    const { latencyMs } = simulate({
      settings: { ...DEFAULT_SETTINGS, minReplicas: 50, maxReplicas: 50 },
      load,
      service: parseServiceTime('800ms,p95=2s'),
    }).summary;
    expect(latencyMs.mean / 800).toBeCloseTo(1, 1);
    expect(latencyMs.p95 / 2_000).toBeCloseTo(1, 1);
  });

  test.each(['', '0s', '800', '800ms,p50=1s', '800ms,p95=700ms', '800ms,p95=9s'])('refuses %j', (text) => {
    expect(() => parseServiceTime(text)).toThrow(/service time/);
  });
});
