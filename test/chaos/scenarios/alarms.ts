/** The broker stops taking messages over memory or disk, under load: nothing grows meanwhile, nothing is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryWatch } from '../support/memory.ts';
import { startPump } from '../support/pump.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';

const OPEN_TASKS = 60;
const MEBIBYTE = 1_048_576;
const GROWTH_LIMIT_BYTES = 50 * MEBIBYTE;
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
    const endedBefore = installation.ledger.arrivals;
    const memory = new MemoryWatch(workers);
    await node.ctl(...raise);
    try {
      await sleep(seconds * 1_000);
      const { parentGrowthBytes: growth } = await memory.stop();
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
