/** The laptop autoscaler with real workers on a real broker: from zero, up, and back. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { WorkersView } from '../../../keda/scaled-workers.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { openTerminal } from '../../support/pseudo-terminal.ts';
import { until } from '../../support/until.ts';

const LAUNCHER = fileURLToPath(new URL('../../../runtime/cli/darkroom.mjs', import.meta.url));
const FUNCTIONS_DIR = fileURLToPath(new URL('../../fixtures/functions', import.meta.url));
const TASKS = 12;
const CTRL_C = '\x03';
const NEEDS_API = 'needs AMQP_MANAGEMENT_URL beside AMQP_URL';
const VALUES = `
defaults:
  scaling: { minReplicas: 0, maxReplicas: 3, messagesPerReplica: 2, pollingInterval: 5, cooldownPeriod: 60 }
functions:
  sleep: {}
`;

const SLOTTED = `
defaults:
  slots: 3
  scaling: { maxReplicas: 1, messagesPerReplica: 3, pollingInterval: 5, cooldownPeriod: 60 }
functions:
  sleep: {}
`;

async function argsOf(at: Installation, content = VALUES): Promise<string[]> {
  const values = join(at.folder, 'values.yaml');
  await writeFile(values, content);
  return [LAUNCHER, 'up', '--values', values, '--max-workers', '3', '--speed', '20'];
}

async function startUp(at: Installation, content?: string) {
  const up = spawn(process.execPath, [...(await argsOf(at, content)), '--json'], {
    env: at.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const views: WorkersView[] = [];
  createInterface({ input: up.stdout }).on('line', (line) => views.push(JSON.parse(line).functions[0]));
  const exited = new Promise<number | null>((resolve) => up.once('exit', resolve));
  return {
    views,
    async [Symbol.asyncDispose]() {
      up.kill('SIGKILL');
      await exited;
    },
    stop(signal: NodeJS.Signals = 'SIGINT') {
      up.kill(signal);
      return exited;
    },
  };
}

async function putDot(at: Installation): Promise<void> {
  const dot = sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } });
  await at.put('dot.png', await dot.png().toBuffer());
}

/** Publishes a task that takes its time, and waits until a worker has it in hand. */
async function startNap(at: Installation, id: string): Promise<void> {
  await putDot(at);
  await at.publish({ id, input: 'dot.png', steps: [{ filter: 'sleep', params: { ms: 2_500 } }] });
  await until(() => at.events.some(({ key }) => key === 'task.started'), 'the start', 60_000);
}

describe('darkroom up', () => {
  it('runs no worker while there is no work, several under load, and none again afterwards', {
    timeout: 120_000,
  }, async (context) => {
    if (process.env.AMQP_MANAGEMENT_URL === undefined) return context.skip(NEEDS_API);
    await using at = await startInstallation({ env: { FUNCTIONS_DIR } });
    await putDot(at);
    await using up = await startUp(at);
    await until(() => up.views.length >= 3, 'the first looks', 60_000);
    expect(up.views.every(({ running }) => running === 0)).toBe(true);

    for (let task = 0; task < TASKS; task++)
      await at.publish({
        id: `nap-${task}`,
        input: 'dot.png',
        steps: [{ filter: 'sleep', params: { ms: 1_500 } }],
      });
    const completed = () => at.events.filter(({ key }) => key === 'task.completed');
    await until(() => completed().length === TASKS, 'all tasks', 90_000);
    await until(
      () => up.views.at(-1)?.running === 0 && up.views.at(-1)?.draining === 0,
      'no workers',
      60_000,
    );

    expect(Math.max(...up.views.map(({ running }) => running))).toBeGreaterThan(1);
    expect(Math.max(...up.views.map(({ running }) => running))).toBeLessThanOrEqual(3);
    // Scale-in drained: nothing was tried twice.
    expect(completed().every(({ data }) => data.attempts === 1)).toBe(true);
    expect(at.events.filter(({ key }) => key === 'task.started').length).toBeLessThanOrEqual(TASKS);
    expect(await up.stop()).toBe(0);
  });

  it('gives a worker as many tasks at once as the values say', { timeout: 90_000 }, async (context) => {
    if (process.env.AMQP_MANAGEMENT_URL === undefined) return context.skip(NEEDS_API);
    await using at = await startInstallation({
      env: { FUNCTIONS_DIR, CHILD_MAX_MEMORY: '256MiB', SLOTS: '' },
    });
    await putDot(at);
    await using up = await startUp(at, SLOTTED);
    for (const id of ['a', 'b', 'c'])
      await at.publish({ id, input: 'dot.png', steps: [{ filter: 'sleep', params: { ms: 4_000 } }] });
    await until(() => at.events.some(({ key }) => key === 'task.completed'), 'the first end', 60_000);

    const first = at.events.findIndex(({ key }) => key === 'task.completed');
    expect(at.events.slice(0, first).filter(({ key }) => key === 'task.started')).toHaveLength(3);
    expect(Math.max(...up.views.map(({ running }) => running))).toBe(1);
    expect(await up.stop()).toBe(0);
  });

  it.for([
    ['Ctrl-C', 'SIGINT'],
    ['the end of its terminal', 'SIGHUP'],
  ] as const)(
    'drains on %s: the task in work is finished, and no process is left',
    {
      timeout: 90_000,
    },
    async ([, signal], context) => {
      if (process.env.AMQP_MANAGEMENT_URL === undefined) return context.skip(NEEDS_API);
      await using at = await startInstallation({ env: { FUNCTIONS_DIR } });
      await using up = await startUp(at);
      await startNap(at, 'last');

      expect(await up.stop(signal)).toBe(0);

      expect((await at.ended('last')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
    },
  );

  it.skipIf(process.platform !== 'linux')(
    'drains on Ctrl-C in a terminal, which it draws on until then',
    {
      timeout: 90_000,
    },
    async (context) => {
      if (process.env.AMQP_MANAGEMENT_URL === undefined) return context.skip(NEEDS_API);
      await using at = await startInstallation({ env: { FUNCTIONS_DIR } });
      await using terminal = openTerminal([process.execPath, ...(await argsOf(at))], { env: at.env });
      await terminal.shows('Ctrl-C drains and stops.', 60_000);
      await startNap(at, 'last');
      await terminal.shows(/sleep .*1 workers/);

      terminal.type(CTRL_C);

      expect(await terminal.exited).toBe(0);
      expect(terminal.output()).toContain('Draining: tasks in work are finished first');
      expect((await at.ended('last')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
    },
  );
});
