import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { testBroker } from '../../support/rabbit.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const RUN = fileURLToPath(new URL('../run.ts', import.meta.url));
/** Workers start, poll and cool down in this time also where four test files share two cores. */
const TIMEOUT_MS = 240_000;
const TASKS = 40;

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function load(...args: string[]): Promise<Outcome> {
  const { amqpUrl, managementUrl } = await testBroker();
  const env = {
    ...process.env,
    AMQP_URL: amqpUrl,
    ...(managementUrl !== undefined && { AMQP_MANAGEMENT_URL: managementUrl }),
  };
  const child = spawn(process.execPath, [RUN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => {
    outcome.stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    outcome.stderr += text.toString();
  });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...outcome, code }));
  });
}

async function tinyPhoto(folder: string): Promise<string> {
  const photo = join(folder, 'tiny.png');
  const image = sharp({ create: { width: 16, height: 16, channels: 3, background: '#c80' } });
  await writeFile(photo, await image.png().toBuffer());
  return photo;
}

describe('a load test', { timeout: TIMEOUT_MS }, () => {
  test('works a burst off from zero, loses nothing and reports', async () => {
    await using folder = await temporaryFolder();
    const photo = await tinyPhoto(folder.path);
    const { code, stdout, stderr } = await load(
      ...['--target', 'local', '--profile', 'burst', '--messages', String(TASKS), '--filter', 'flip'],
      ...[
        '--photos',
        photo,
        '--speed',
        '20',
        '--settle',
        '0',
        '--max-wait-p95',
        '3m',
        '--out',
        folder.path,
        '--json',
      ],
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
