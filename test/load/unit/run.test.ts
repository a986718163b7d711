import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { flatPng } from '../../support/pictures.ts';
import { testBroker } from '../../support/rabbit.ts';
import { type ProgramResult, runProgram } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { words } from '../../support/words.ts';

const RUN = fileURLToPath(new URL('../run.ts', import.meta.url));
/** Workers start, poll and cool down in this time also where four test files share two cores. */
const TIMEOUT_MS = 240_000;
const TASKS = 40;

async function load(...args: string[]): Promise<ProgramResult> {
  const { amqpUrl, managementUrl } = await testBroker();
  const env = {
    AMQP_URL: amqpUrl,
    ...(managementUrl !== undefined && { AMQP_MANAGEMENT_URL: managementUrl }),
  };
  return await runProgram(RUN, args, { ...process.env, ...env });
}

describe('a load test', { timeout: TIMEOUT_MS }, () => {
  test('works a burst off from zero, loses nothing and reports', async () => {
    await using folder = await temporaryFolder();
    const photo = join(folder.path, 'tiny.png');
    await writeFile(photo, await flatPng(16, 16));
    const { code, stdout, stderr } = await load(
      ...words(`--target local --profile burst --messages ${TASKS} --filter flip --photos ${photo} --speed 20
        --settle 0 --max-wait-p95 3m --out ${folder.path} --json`),
    );
    expect(code, stderr).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      passed: true,
      interrupted: false,
      account: { submitted: TASKS, completed: TASKS, lost: 0, failed: 0, unfinished: 0, contradictions: 0 },
    });
    expect(report.samples[0].total.wanted).toBe(0);
    expect(report.measured.peakReplicas).toBeGreaterThan(0);
    expect(report.measured.waitMs.p95).toBeGreaterThan(0);
    expect(report.prediction.figures.map(({ name }: { name: string }) => name)).toContain(
      'Time in queue, p95',
    );
    expect(report.tasks).toHaveLength(TASKS);
    expect(JSON.parse(await readFile(join(folder.path, 'report.json'), 'utf8'))).toEqual(report);
    const page = await readFile(join(folder.path, 'report.html'), 'utf8');
    expect(page).toContain('class="amber dashed"');
    expect(page).toContain('none is lost');
  });

  test('says what is wrong with a call before it starts anything', async () => {
    const { code, stderr } = await load('--profile', 'steady', '--filter', 'blurr');
    expect(stderr).toContain('did you mean blur?');
    expect(code).toBe(2);
  });
});
