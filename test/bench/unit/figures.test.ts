/** The benchmarks' own arithmetic, and how contestants take turns. */
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { cpuMs } from '../../support/process-facts.ts';
import { until } from '../../support/until.ts';
import { atLeast, atMost, compared, Missing, median, notAbove, slopeOf } from '../row.ts';
import { takeTurns } from '../turns.ts';

const ROW = { name: 'a', unit: 'ms', ours: 9, against: 'b', theirs: 10 };

it('takes the middle of a median, or the mean of the two', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

it('says whether a ratio, or a figure itself, meets its goal', () => {
  expect(atLeast(0.9, ROW)).toMatchObject({ ratio: 0.9, goal: '≥ 0.9', met: true });
  expect(atLeast(1, ROW)).toMatchObject({ met: false });
  expect(atMost(0.9, ROW)).toMatchObject({ goal: '≤ 0.9', met: true });
  expect(atMost(0.8, ROW)).toMatchObject({ met: false });
  expect(notAbove(9, ROW)).toMatchObject({ goal: '≤ 9 ms', met: true });
  expect(notAbove(8, ROW)).toMatchObject({ met: false });
  expect(compared(ROW)).not.toHaveProperty('met');
});

it('neither meets nor misses a goal whose peer is missing', () => {
  const row = new Missing('no redis').row({ name: 'a', unit: 'ms', goal: '≥ 1' });

  expect(row).toEqual({ name: 'a', unit: 'ms', goal: '≥ 1', note: 'SKIPPED: no redis' });
});

it.each([
  { costs: [7, 7, 7], slope: 0 },
  { costs: [10, 20, 80], slope: 1 },
  { costs: [1, 4, 64], slope: 2 },
])('finds a slope of $slope', ({ costs, slope }) => {
  expect(slopeOf([1, 2, 8], costs)).toBeCloseTo(slope, 10);
});

it('lets every contestant warm up, then take turns, and nobody always after the same one', async () => {
  const order: string[] = [];
  const figures: Record<string, number[]> = { a: [0, 5, 1, 3], b: [0, 2, 2, 2], c: [0, 1, 1, 9] };
  const turns = Object.fromEntries(
    Object.keys(figures).map((name) => {
      const run = async (count: number) => {
        order.push(`${name}${count}`);
        return figures[name]!.shift()!;
      };
      return [name, { contestant: { run, [Symbol.asyncDispose]: async () => {} }, count: 7 }];
    }),
  );

  const medians = await takeTurns(turns, 3);

  expect(medians).toEqual({ a: 3, b: 2, c: 1 });
  expect(order.join(' ')).toBe('a7 b7 c7 a7 b7 c7 b7 c7 a7 c7 a7 b7');
});

it('counts the CPU time of a process that works, and little of one that sleeps', async () => {
  const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  const idle = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    await until(async () => (await cpuMs(busy.pid!)) > 200, 'a fifth of a second of CPU time');
    expect(await cpuMs(idle.pid!)).toBeLessThan(50);
  } finally {
    busy.kill('SIGKILL');
    idle.kill('SIGKILL');
  }
});
