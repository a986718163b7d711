/** The broker is stopped in good order and killed, in turns, under load; workers must consume again soon after. */

import { startPump } from '../support/pump.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';

const OPEN_TASKS = 30;
/** From the broker's return until every worker consumes. */
const LIMIT_MS = 10_000;
const GIVE_UP_MS = 60_000;
const DOWN_MAX_MS = 3_000;

export const restarts: Scenario = {
  name: 'restarts',
  shows: 'broker restarts under load, stopped and killed in turns',
  run,
};

async function run({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const rounds = choose(2, 20);
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl }, random);
  const { installation, workers, kinds } = setup;
  const pump = startPump(installation, kinds, random, OPEN_TASKS);
  const backMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const how = round % 2 === 0 ? 'stop' : 'kill';
    await node[how]();
    await new Promise((resolve) => setTimeout(resolve, random.integer(0, DOWN_MAX_MS)));
    await node.start();
    const servingMs = performance.now();
    await workers.ready(GIVE_UP_MS);
    backMs.push(performance.now() - servingMs);
    say(
      `${round + 1}/${rounds} (${how}): consuming again ${(backMs.at(-1)! / 1_000).toFixed(1)} s after its return`,
    );
    await flow(installation.ledger);
  }
  await pump.stop();
  const outcome = await installation.finish(workers);
  outcome.kills = rounds;
  const worstMs = Math.max(...backMs);
  const mean = backMs.reduce((sum, ms) => sum + ms, 0) / rounds;
  outcome.notes.push(
    `${rounds} restarts; all workers consume again after ${(mean / 1_000).toFixed(1)} s on average, ${(worstMs / 1_000).toFixed(1)} s at most`,
  );
  if (worstMs > LIMIT_MS)
    outcome.faults.push(
      `consuming again only ${Math.round(worstMs)} ms after the broker’s return; expected ${LIMIT_MS}`,
    );
  return outcome;
}

/** A few tasks end, so that the next restart hits a system at work. */
async function flow(ledger: { arrivals: number }): Promise<void> {
  const before = ledger.arrivals;
  const deadline = performance.now() + GIVE_UP_MS;
  while (ledger.arrivals < before + OPEN_TASKS / 2 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 100));
}
