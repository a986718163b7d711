/** How long a worker takes from its start to its first delivery. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type Installation, startInstallation } from '../support/installation.ts';
import { LAUNCHER } from '../support/run-program.ts';
import { type Bench, type BenchmarkRow, compared, median, notAbove } from './row.ts';

const STARTS = 9;
const SLOTS = [1, 2, 4];
const GOAL_MS = 250;

/** From the start of the process until its first slot consumes, against Node doing nothing. */
export async function benchStartup(bench: Bench): Promise<BenchmarkRow[]> {
  await using at = await startInstallation({ amqpUrl: bench.amqpUrl });
  const ours = new Map<number, number[]>(SLOTS.map((slots) => [slots, []]));
  const bare: number[] = [];
  for (let start = 0; start < bench.count(STARTS); start++) {
    bare.push(await timeBareNode());
    for (const slots of SLOTS) ours.get(slots)!.push(await timeToConsuming(at, slots));
  }
  return SLOTS.map((slots) => {
    const row = compared({
      name: `worker start to consuming, SLOTS=${slots}`,
      unit: 'ms',
      ours: median(ours.get(slots)!),
      against: 'node -e 0',
      theirs: median(bare),
    });
    return slots === 1 ? notAbove(GOAL_MS, { ...row, ours: row.ours! }) : row;
  });
}

function timeBareNode(): Promise<number> {
  const start = performance.now();
  const node = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return new Promise((resolve) => node.once('exit', () => resolve(performance.now() - start)));
}

async function timeToConsuming(at: Installation, slots: number): Promise<number> {
  const start = performance.now();
  const worker = spawn(process.execPath, [LAUNCHER, 'worker', 'convert'], {
    env: { ...at.env, SLOTS: String(slots) },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise<void>((resolve) =>
    createInterface({ input: worker.stdout }).on('line', (line) => line.includes('"consuming"') && resolve()),
  );
  const ms = performance.now() - start;
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  await gone;
  return ms;
}
