/** Ctrl-C in a real terminal: a command that has something in hand ends it in good order, and nothing is left of any. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { startDotInstallation } from '../../support/dot-installation.ts';
import type { Installation } from '../../support/installation.ts';
import { AS_NODE_20 } from '../../support/old-node.ts';
import { descendantPids, isRunning, untilGone } from '../../support/process-facts.ts';
import { openTerminal, type PseudoTerminal } from '../../support/pseudo-terminal.ts';
import { LAUNCHER } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';
import { upValues } from '../../support/up-values.ts';

const LOAD = fileURLToPath(new URL('../../load/run.ts', import.meta.url));
const CTRL_C = '\x03';
const INTERRUPTED = 130;
/** Two closer together are one. */
const SAME_KEY_MS = 600;
const GONE_MS = 1_500;
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';

const hasApi = process.env.AMQP_MANAGEMENT_URL !== undefined;

async function startNap(at: Installation, ms: number): Promise<void> {
  await at.publish({ id: 'nap', input: 'dot.png', steps: [{ filter: 'sleep', params: { ms } }] });
  await until(() => at.events.some(({ key }) => key === 'task.started'), 'the start', 60_000);
}

const open = (at: Installation, args: string[], nodeOptions: string[] = []) =>
  openTerminal([process.execPath, ...nodeOptions, LAUNCHER, ...args], { env: at.env });

async function typeTwice(terminal: PseudoTerminal): Promise<void> {
  terminal.type(CTRL_C);
  await sleep(SAME_KEY_MS);
  terminal.type(CTRL_C);
}

/** npm leaves a compile cache of its own. */
async function ours(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('darkroom'));
}

function expectCursor(terminal: PseudoTerminal): void {
  const output = terminal.output();
  expect(output.lastIndexOf(SHOW_CURSOR)).toBeGreaterThanOrEqual(output.lastIndexOf(HIDE_CURSOR));
}

describe.runIf(process.platform === 'linux')('Ctrl-C in a terminal', () => {
  it.each([
    ['', []],
    [', started by an older Node', [AS_NODE_20]],
  ])('drains a worker: its task is finished%s', async (_, nodeOptions) => {
    await using at = await startDotInstallation();
    await using terminal = open(at, ['worker', 'sleep'], nodeOptions);
    await startNap(at, 2_000);

    terminal.type(CTRL_C);

    expect(await terminal.exited).toBe(0);
    expect((await at.ended('nap')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
  });

  it('twice has a worker give its task back', async () => {
    await using at = await startDotInstallation();
    await using terminal = open(at, ['worker', 'sleep']);
    await startNap(at, 25_000);
    const pids = await descendantPids(terminal.pid);

    await typeTwice(terminal);

    expect(await terminal.exited).toBe(0);
    await untilGone(pids, GONE_MS);
    expect(await at.depth(`${at.prefix}.sleep`)).toBe(1);
  });

  it.runIf(hasApi)('twice ends darkroom up at once, with its workers', { timeout: 90_000 }, async () => {
    await using at = await startDotInstallation();
    await using terminal = open(at, await upArgs(at));
    await startNap(at, 25_000);
    const pids = await descendantPids(terminal.pid);
    expect(pids.length).toBeGreaterThanOrEqual(3);

    await typeTwice(terminal);

    expect(await terminal.exited).toBe(INTERRUPTED);
    await untilGone(pids, GONE_MS);
    expectCursor(terminal);
  });

  it.runIf(hasApi).each([
    ['', (terminal: PseudoTerminal) => terminal.type(CTRL_C)],
    [' twice', typeTwice],
  ])('%s leaves nothing of npm run demo', { timeout: 90_000 }, async (_, press) => {
    await using at = await startDotInstallation({ LOG_LEVEL: 'info' });
    const TMPDIR = join(at.home, 'tmp');
    await mkdir(TMPDIR);
    const { FUNCTIONS_DIR: __, ...env } = at.env;
    await using terminal = openTerminal(['npm', 'run', 'demo'], { env: { ...env, TMPDIR } });
    await terminal.shows(/[1-9] workers/, 60_000);
    const pids = await descendantPids(terminal.pid);

    await press(terminal);

    expect(await terminal.exited).not.toBe(0);
    await untilGone(pids, GONE_MS);
    await until(async () => (await ours(TMPDIR)).length === 0, 'the end of its folder', 5_000);
    expectCursor(terminal);
  });

  it('ends darkroom publish --wait, which says what is published', async () => {
    await using at = await startDotInstallation();
    const photo = join(at.folder, 'dot.png');
    await using terminal = open(at, ['publish', photo, '--step', 'sleep:ms=1', '--wait']);
    await terminal.shows(/0\/1 done/);

    terminal.type(CTRL_C);

    expect(await terminal.exited).toBe(INTERRUPTED);
    expect(terminal.output()).toContain('Interrupted. 1 of 1 tasks are published');
    expect(await at.depth(`${at.prefix}.sleep`)).toBe(1);
    expectCursor(terminal);
  });

  it('ends darkroom run between photos and within one, without half a file', async () => {
    await using at = await startDotInstallation();
    const photos = join(at.home, 'photos');
    const results = join(at.home, 'results');
    await mkdir(photos);
    for (let photo = 0; photo < 20; photo++)
      await writeFile(join(photos, `${photo}.png`), await at.read('dot.png'));
    await using terminal = open(at, ['run', photos, '--step', 'sleep:ms=300', '-o', `${results}/`]);
    await terminal.shows(/[2-9]\/20 photos/);

    terminal.type(CTRL_C);

    expect(await terminal.exited).toBe(INTERRUPTED);
    const files = await readdir(results);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) await sharp(join(results, file)).stats();
    expectCursor(terminal);
  });

  it.each(['sleep:ms=300', 'hang'])(
    'ends darkroom run with all its processes while they %s',
    { timeout: 60_000 },
    async (step) => {
      await using at = await startDotInstallation();
      const photos = await manyPhotos(at);
      const results = join(at.home, 'results');
      await using terminal = open(at, ['run', photos, '--jobs', '3', '--step', step, '-o', results]);
      await terminal.shows(step === 'hang' ? /0\/20 photos/ : /[5-9]\/20 photos/, 30_000);
      await until(async () => (await descendantPids(terminal.pid)).length >= 3, 'its processes', 10_000);
      const pids = await descendantPids(terminal.pid);

      terminal.type(CTRL_C);

      expect(await terminal.exited).toBe(INTERRUPTED);
      await untilGone(pids, GONE_MS);
      for (const file of await readdir(results)) await sharp(join(results, file)).stats();
      expectCursor(terminal);
    },
  );

  it('ends darkroom run in a computation that hears nothing', async () => {
    await using at = await startDotInstallation();
    await using terminal = open(at, [
      'run',
      join(at.folder, 'dot.png'),
      '--step',
      'hang',
      '-o',
      `${at.home}/`,
    ]);
    await terminal.shows(/0\/1 photo/);
    await sleep(500);

    terminal.type(CTRL_C);

    expect(await terminal.exited).toBe(INTERRUPTED);
  });

  it('ends darkroom simulate', async () => {
    await using at = await startDotInstallation();
    const args = ['simulate', '--load', 'daily', '-n', '20000000', '--duration', '30d'];
    await using terminal = open(at, args);
    await sleep(1_500);

    terminal.type(CTRL_C);

    expect(await terminal.exited).toBe(INTERRUPTED);
  });

  it.runIf(hasApi)('twice ends npm run load, with a report of what was', { timeout: 120_000 }, async () => {
    await using at = await startDotInstallation();
    const out = join(at.home, 'report');
    const TMPDIR = join(at.home, 'tmp');
    await mkdir(TMPDIR);
    const { FUNCTIONS_DIR: _, ...env } = at.env;
    const options = ['--target', 'local', '--profile', 'steady', '--speed', '10', '--out', out];
    await using terminal = openTerminal([process.execPath, LOAD, ...options], { env: { ...env, TMPDIR } });
    await terminal.shows(/publishing/, 60_000);
    await sleep(3_000);
    const pids = await descendantPids(terminal.pid);

    await typeTwice(terminal);

    expect(await terminal.exited).toBe(INTERRUPTED);
    await untilGone(pids, GONE_MS);
    expect(await readdir(out)).toContain('report.html');
    expect(await ours(TMPDIR)).toEqual([]);
    expectCursor(terminal);
  });
});

describe.runIf(process.platform === 'linux' && hasApi)('the end of a terminal', () => {
  it('has darkroom up drain, though nobody sees it', { timeout: 90_000 }, async () => {
    await using at = await startDotInstallation();
    await using terminal = open(at, await upArgs(at));
    await startNap(at, 3_000);
    const [up = 0, ...rest] = await descendantPids(terminal.pid);

    await terminal.close();

    expect((await at.ended('nap')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
    await until(async () => !(await isRunning(up)), 'the end of up', 10_000);
    await untilGone(rest, GONE_MS);
  });
});

describe('a reader that goes away', () => {
  it.runIf(hasApi)('has darkroom up drain', { timeout: 90_000 }, async () => {
    await using at = await startDotInstallation();
    const up = spawn(process.execPath, [LAUNCHER, ...(await upArgs(at)), '--json'], {
      env: at.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const errors = text(up.stderr);
    await startNap(at, 2_000);

    up.stdout.destroy();

    expect(await once(up, 'exit')).toEqual([0, null]);
    expect(await errors).not.toMatch(/\n\s+at /);
    expect((await at.ended('nap')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
  });

  it('ends a command that only prints, without a word', async () => {
    const program = spawn(
      'sh',
      ['-c', `"$@" | true; exit 0`, 'sh', process.execPath, LAUNCHER, 'functions'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );

    expect(await text(program.stderr)).toBe('');
  });
});

/** Twenty that are large enough to be given to processes at once. */
async function manyPhotos(at: Installation): Promise<string> {
  const photos = join(at.home, 'photos');
  await mkdir(photos);
  const large = Buffer.concat([await at.read('dot.png'), Buffer.alloc(1_500_000)]);
  for (let photo = 0; photo < 20; photo++) await writeFile(join(photos, `${photo}.png`), large);
  return photos;
}

async function upArgs(at: Installation): Promise<string[]> {
  return ['up', '--values', await upValues(at.home, 'sleep'), '--speed', '20'];
}
