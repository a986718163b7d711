import { describe, expect, it } from 'vitest';
import { defaultJobs } from '../../../../runtime/cli/run/job-count.ts';
import { DEFAULT_LIMITS } from '../../../../runtime/image/limits.ts';

const GIBIBYTE = 1_073_741_824;

describe('defaultJobs', () => {
  it.each([
    ['one for each processor', 8, 64 * GIBIBYTE, 8],
    ['as many as fit into memory', 8, 4 * GIBIBYTE, 5],
    ['one, however little there is', 8, GIBIBYTE / 2, 1],
  ])('is %s', (_, processors, memoryBytes, jobs) => {
    expect(defaultJobs(DEFAULT_LIMITS, processors, memoryBytes)).toBe(jobs);
  });

  it('is more where only small photos are accepted', () => {
    const limits = { ...DEFAULT_LIMITS, pixels: 10_000_000, outputPixels: 10_000_000 };
    expect(defaultJobs(limits, 8, 4 * GIBIBYTE)).toBe(8);
  });
});
