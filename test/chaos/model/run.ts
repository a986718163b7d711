/** Runs random schedules, in a process of its own; prints what came of them as JSON. Arguments: seed, count. */
import './virtual-modules.ts';
import fc from 'fast-check';
import type { ScheduleResult } from './run-schedule.ts';

const [seed, count] = process.argv.slice(2).map(Number);
const PROGRESS_EACH = 5_000;

const { emptyResult, runSchedule } = await import('./run-schedule.ts');
const sum = emptyResult();
let schedules = 0;

const arbitrarySchedule = fc.record({
  tasks: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 2 }),
  copies: fc.oneof(
    { weight: 3, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 3 }) },
  ),
  rival: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  forged: fc.array(
    fc.record({
      step: fc.integer({ min: 0, max: 3 }),
      attempt: fc.integer({ min: 0, max: 3 }),
      generation: fc.integer({ min: 0, max: 2 }),
    }),
    { maxLength: 2 },
  ),
  retries: fc.integer({ min: 0, max: 2 }),
  crashLimit: fc.integer({ min: 2, max: 5 }),
  slots: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 4 })),
  carry: fc.constantFrom('none' as const, 'light' as const, 'all' as const),
  schedule: fc.uint8Array({ maxLength: 250, size: 'max' }),
});
const result = await fc.check(
  fc.asyncProperty(arbitrarySchedule, async (chosen) => {
    const one = await runSchedule(chosen);
    for (const key of Object.keys(sum) as (keyof ScheduleResult)[])
      if (key !== 'faults') sum[key] += one[key];
    if (++schedules % PROGRESS_EACH === 0) process.stderr.write(`${schedules}\n`);
    if (one.faults.length > 0) throw new Error(one.faults.join('; '));
  }),
  { seed: seed ?? 1, numRuns: count ?? 1_000, endOnFailure: process.env.MODEL_SHRINK === undefined },
);
if (result.failed) {
  const [counterexample] = result.counterexample ?? [];
  sum.faults.push(
    `${String((result.errorInstance as Error)?.message)} with ${JSON.stringify({ ...counterexample, schedule: [...(counterexample?.schedule ?? [])] })}`,
  );
}
process.stdout.write(JSON.stringify({ schedules, ...sum }));
