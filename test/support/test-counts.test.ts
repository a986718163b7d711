import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { countTests, formatCounts } from './test-counts.ts';

const CLEAN = { numPassedTests: 12, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] };

it('counts what passed, failed and was skipped', async () => {
  await using report = await reportOf({ ...CLEAN, numFailedTests: 2, numPendingTests: 3, numTodoTests: 1 });

  expect(formatCounts(await countTests(report.path, 1))).toBe('12 passed, 2 failed, 4 skipped');
});

it('leaves out the skipped ones when there are none', async () => {
  await using report = await reportOf(CLEAN);

  expect(formatCounts(await countTests(report.path, 0))).toBe('12 passed, 0 failed');
});

it('counts a file that did not load as a failure', async () => {
  await using report = await reportOf({
    ...CLEAN,
    testResults: [{ name: 'broken.test.ts', status: 'failed', assertionResults: [] }],
  });

  expect((await countTests(report.path, 1)).failed).toBe(1);
});

it('counts a failing exit code as a failure even when every test passed', async () => {
  await using report = await reportOf(CLEAN);

  expect((await countTests(report.path, 1)).failed).toBe(1);
});

it('counts a run that left no report as a failure', async () => {
  expect(await countTests('/nowhere/report.json', 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

async function reportOf(report: object) {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-report-'));
  const path = join(folder, 'report.json');
  await writeFile(path, JSON.stringify(report));
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
