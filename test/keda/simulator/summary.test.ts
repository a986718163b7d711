import { expect, test } from 'vitest';
import { percentiles } from '../../../keda/simulator.ts';

test('percentiles are by nearest rank and leave gaps out', () => {
  const values = Float32Array.from({ length: 100 }, (_, index) => 100 - index);
  const gaps = Float32Array.of(Number.NaN, 4, Number.NaN);
  expect(percentiles(values)).toEqual({ mean: 50.5, p50: 50, p95: 95, p99: 99, max: 100 });
  expect(percentiles(gaps).p95).toBe(4);
  expect(percentiles(new Float32Array())).toEqual({ mean: 0, p50: 0, p95: 0, p99: 0, max: 0 });
});
