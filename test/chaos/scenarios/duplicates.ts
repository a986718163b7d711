/** Every task is published three times, all copies in shuffled order. */
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import { makeTasks } from '../support/tasks.ts';

const BATCH = 500;

export const duplicates: Scenario = {
  name: 'duplicates',
  shows: 'every message three times, in shuffled order',
  run,
};

async function run({ choose, node, random }: Stage): Promise<ScenarioOutcome> {
  const tasks = choose(100, 1_000);
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl }, random, 2);
  const { installation, workers, kinds } = setup;

  const first = makeTasks('thrice', tasks, kinds, random);
  const copies = random.shuffle([...first, ...first]);
  // The third copy is the one that the ledger enters; it goes among the others.
  for (let start = 0; start < tasks; start += BATCH / 5) {
    const end = start + BATCH / 5;
    await installation.submit(first.slice(start, end));
    await Promise.all(copies.slice(2 * start, 2 * end).map((copy) => installation.repeat(copy)));
  }
  const outcome = await installation.finish(workers);
  outcome.notes.push(
    `${outcome.duplicates} final events came again for the ${2 * tasks} further copies; ${await installation.leftovers()} images between steps left to the sweep`,
  );
  return outcome;
}
