/** Nothing outlives the process that it was started for, whatever it computes and however that one ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectTopology } from '../../../runtime/amqp/topology.ts';
import { topologyOf } from '../../../runtime/cli/session.ts';
import { startDotInstallation } from '../../support/dot-installation.ts';
import type { Installation } from '../../support/installation.ts';
import { AS_NODE_20 } from '../../support/old-node.ts';
import {
  childPids,
  commandLineOf,
  descendantPids,
  isRunning,
  untilGone,
} from '../../support/process-facts.ts';
import { LAUNCHER } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';
import { upValues } from '../../support/up-values.ts';

const GONE_MS = 1_000;
/** A folder without setpriv. */
const BARE_PATH = { PATH: '/var/empty' };

/** Publishes a task that never ends, and waits until it is at work. */
async function occupy(at: Installation, filter: string, params: object = {}): Promise<void> {
  await at.publish({ id: 'endless', input: 'dot.png', steps: [{ filter, params }] });
  await until(() => at.events.some(({ key }) => key === 'task.started'), 'the start', 60_000);
  await busy(filter === 'encode' ? 1_500 : 500);
}

/** The image is fetched and decoded first. */
const busy = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function start(
  args: string[],
  env: NodeJS.ProcessEnv,
): AsyncDisposable & { process: ChildProcess; pid: number } {
  const process_ = spawn(process.execPath, args, { env, stdio: 'ignore' });
  return {
    process: process_,
    pid: process_.pid!,
    async [Symbol.asyncDispose]() {
      process_.kill('SIGKILL');
    },
  };
}

describe.runIf(process.platform === 'linux')('kill -9', () => {
  it.each([
    ['in a computation, where setpriv is installed', 'hang', {}],
    ['in a computation, where it is not', 'hang', BARE_PATH],
    ['in the image library, where setpriv is installed', 'encode', {}],
    ['in the image library, where it is not', 'encode', BARE_PATH],
    ['waiting, where setpriv is installed', undefined, {}],
    ['waiting, where it is not', undefined, BARE_PATH],
  ])('of a worker ends its child at once: %s', async (_, filter, env) => {
    await using at = await startDotInstallation();
    const worker = await at.worker(filter ?? 'hang', env);
    if (filter !== undefined) await occupy(at, filter);
    const child = await worker.childPid();

    await worker.kill();

    await untilGone([child], GONE_MS);
  });

  it('of a worker leaves nothing, at whatever moment of its start', async () => {
    await using at = await startDotInstallation();
    for (let delayMs = 20; delayMs <= 400; delayMs += 20) {
      await using worker = start([LAUNCHER, 'worker', 'hang'], at.env);
      await busy(delayMs);
      const pids = await descendantPids(worker.pid);
      worker.process.kill('SIGKILL');
      if (pids.length > 0) await untilGone(pids, GONE_MS);
    }
  });

  it.each(['worker', 'run'])(
    'of the older Node that handed over to the pinned one ends what it started: %s',
    async (command) => {
      await using at = await startDotInstallation();
      const args =
        command === 'run'
          ? ['run', join(at.folder, 'dot.png'), '--step', 'hang', '-o', `${at.home}/`]
          : ['worker', 'hang'];
      await using launcher = start([AS_NODE_20, LAUNCHER, ...args], at.env);
      if (command === 'run') await busy(2_000);
      else await occupy(at, 'hang');
      const pids = await descendantPids(launcher.pid);
      expect(pids).toHaveLength(command === 'run' ? 1 : 2);

      launcher.process.kill('SIGKILL');

      await untilGone(pids, GONE_MS);
    },
  );

  it.each([
    ['itself', []],
    ['of the older Node that handed over to it', [AS_NODE_20]],
  ])('of darkroom up: %s', { timeout: 90_000 }, async (_, nodeOptions) => {
    if (process.env.AMQP_MANAGEMENT_URL === undefined) return;
    await using at = await startDotInstallation();
    await using up = start(
      [
        ...nodeOptions,
        LAUNCHER,
        'up',
        '--function',
        'hang',
        '--speed',
        '20',
        '--values',
        await upValues(at.home, 'hang'),
      ],
      at.env,
    );
    await occupy(at, 'hang');
    const pids = await descendantPids(up.pid);
    expect(pids.length).toBeGreaterThanOrEqual(2 + nodeOptions.length);

    up.process.kill('SIGKILL');

    await untilGone(pids, GONE_MS);
  });
});

describe.runIf(process.platform === 'linux')('kill -9 of the demo', () => {
  it('leaves neither a process nor its folder', { timeout: 90_000 }, async () => {
    if (process.env.AMQP_MANAGEMENT_URL === undefined) return;
    await using at = await startDotInstallation();
    const TMPDIR = join(at.home, 'tmp');
    await mkdir(TMPDIR);
    const { FUNCTIONS_DIR: _, ...env } = at.env;
    await using demo = start([LAUNCHER, 'demo'], { ...env, TMPDIR });
    const pids = await until(
      async () => {
        const found = await descendantPids(demo.pid);
        return found.length >= 6 && found;
      },
      'workers with children',
      60_000,
    );

    const commands = await Promise.all(pids.map(commandLineOf));
    const working = pids.filter((_, index) => !commands[index]?.includes('darkroom-reaper'));

    demo.process.kill('SIGKILL');

    await untilGone(working, GONE_MS);
    await until(async () => (await readdir(TMPDIR)).length === 0, 'the end of the folder', 5_000);
    const queues = topologyOf({ ...at.config, prefix: `demo-${demo.pid}` });
    const isThere = async () =>
      [...(await inspectTopology(at.broker, queues)).values()].some((queue) => queue);
    await until(async () => !(await isThere()), 'the end of its queues', 10_000);
  });
});

describe('a program that a filter starts', () => {
  it.each(['the deadline', 'the filter’s death'])('ends with its task: at %s', async (end) => {
    await using at = await startDotInstallation({ TASK_TIMEOUT: '2s', RETRY_DELAYS: '10m' });
    const worker = await at.worker('helper');
    const pidFile = join(at.home, 'helper');
    await at.publish({ id: 'helped', input: 'dot.png', steps: [{ filter: 'helper', params: { pidFile } }] });
    const pid = await until(
      async () => Number(await readFile(pidFile, 'utf8').catch(() => '')) || undefined,
      'the helper',
    );

    if (end !== 'the deadline')
      for (const child of await childPids(worker.pid)) process.kill(child, 'SIGKILL');

    await until(async () => !(await isRunning(pid)), 'the end of the helper', 4_000);
  });
});
