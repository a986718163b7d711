/** The broker stops taking messages over memory or disk, under load: nothing grows meanwhile, nothing is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../../support/process-facts.ts';
import { startPump } from '../support/pump.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import type { WorkerProcesses } from '../support/worker-processes.ts';

const OPEN_TASKS = 60;
const MEBIBYTE = 1_048_576;
const GROWTH_LIMIT_BYTES = 50 * MEBIBYTE;
/** Between two looks at the workers' memory. */
const LOOK_MS = 1_000;
/** Work before an alarm, so that what is measured is not the start of the workers. */
const SETTLE_MS = 2_000;

type Ctl = string[];

const ALARMS: Record<string, { raise: Ctl; clear: (version: string) => Ctl }> = {
  memory: {
    raise: ['set_vm_memory_high_watermark', '0.00001'],
    clear: (version) => ['set_vm_memory_high_watermark', version === '4' ? '0.6' : '0.4'],
  },
  disk: { raise: ['set_disk_free_limit', '100000GB'], clear: () => ['set_disk_free_limit', '50MB'] },
};

export const alarms: Scenario = {
  name: 'alarms',
  shows: 'memory and disk alarms of the broker',
  run,
};

async function run({ choose, node, version, random, say }: Stage): Promise<ScenarioOutcome> {
  const seconds = choose(4, 60);
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl }, random);
  const { installation, workers, kinds } = setup;
  const pump = startPump(installation, kinds, random, OPEN_TASKS);
  const notes: string[] = [];
  let worst = 0;
  for (const [name, { raise, clear }] of Object.entries(ALARMS)) {
    await sleep(SETTLE_MS);
    const before = await memoryOf(workers);
    const endedBefore = installation.ledger.arrivals;
    await node.ctl(...raise);
    try {
      const growth = await watchMemory(workers, before, seconds);
      worst = Math.max(worst, growth);
      notes.push(
        `${name} alarm for ${seconds} s: a worker grew by ${(growth / MEBIBYTE).toFixed(1)} MiB at most; ${installation.ledger.arrivals - endedBefore} outcomes came through`,
      );
      say(notes.at(-1)!);
    } finally {
      await node.ctl(...clear(version));
    }
  }
  await pump.stop();
  const outcome = await installation.finish(workers);
  outcome.notes.push(...notes);
  if (worst > GROWTH_LIMIT_BYTES)
    outcome.faults.push(
      `a worker grew by ${Math.round(worst / MEBIBYTE)} MiB; expected at most ${GROWTH_LIMIT_BYTES / MEBIBYTE}`,
    );
  return outcome;
}

/** By pid. */
async function memoryOf(workers: WorkerProcesses): Promise<Map<number, number>> {
  const sizes = await Promise.all(
    workers.current.map(async ({ pid }) => [pid, (await residentBytes(pid)) ?? 0] as const),
  );
  return new Map(sizes);
}

/** The most that any worker's parent process grew. */
async function watchMemory(
  workers: WorkerProcesses,
  before: Map<number, number>,
  seconds: number,
): Promise<number> {
  let growth = 0;
  for (let second = 0; second < seconds; second++) {
    await sleep(LOOK_MS);
    for (const [pid, bytes] of await memoryOf(workers))
      growth = Math.max(growth, bytes - (before.get(pid) ?? bytes));
  }
  return growth;
}
