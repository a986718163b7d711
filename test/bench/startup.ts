/** How long a worker takes from its start to its first delivery. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Installation, startInstallation } from '../support/installation.ts';
import { type BenchmarkRow, median } from './row.ts';

const LAUNCHER = fileURLToPath(new URL('../../runtime/cli/darkroom.mjs', import.meta.url));
const STARTS = 9;

/** From the start of the process to a registered consumer, against Node doing nothing. */
export async function benchStartup(amqpUrl: string): Promise<BenchmarkRow[]> {
  await using at = await startInstallation({ amqpUrl });
  const ours: number[] = [];
  const bare: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    bare.push(await timeBareNode());
    ours.push(await timeToConsuming(at));
  }
  const [medianOurs, medianBare] = [median(ours), median(bare)];
  return [
    {
      name: 'worker start to consuming',
      unit: 'ms',
      ours: medianOurs,
      against: 'node -e 0',
      theirs: medianBare,
      ratio: medianOurs / medianBare,
      goal: '≤ 250 ms',
      met: medianOurs <= 250,
    },
  ];
}

function timeBareNode(): Promise<number> {
  const start = performance.now();
  const node = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return new Promise((resolve) => node.once('exit', () => resolve(performance.now() - start)));
}

async function timeToConsuming(at: Installation): Promise<number> {
  const start = performance.now();
  const worker = spawn(process.execPath, [LAUNCHER, 'worker', 'convert'], {
    env: at.env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise<void>((resolve) =>
    createInterface({ input: worker.stdout }).on('line', (line) => line.includes('"consuming"') && resolve()),
  );
  const ms = performance.now() - start;
  await ended(worker);
  return ms;
}

async function ended(worker: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  await gone;
}
