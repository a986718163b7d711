/** Workers and their children die by kill -9 at random while tasks of three steps pass through them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import { makeTasks } from '../support/tasks.ts';

const WORKERS_PER_FILTER = 2;
const STEPS = 3;
const LOOK_MS = 20;
/** All tasks take their first step before the first of them takes its last. */
const STALL_MS = 600_000;

export const kills: Scenario = {
  name: 'kills',
  shows: 'kill -9 of workers and of their children at random',
  run,
};

async function run({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const tasks = choose(300, 10_000);
  const victims = choose(20, 200);
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl }, random, WORKERS_PER_FILTER);
  const { installation, workers, kinds } = setup;

  const startMs = performance.now();
  const assignments = makeTasks('task', tasks, kinds, random);
  const killed = { worker: 0, child: 0 };
  const sum = () => killed.worker + killed.child;
  const stepped = await installation.follow('step-completed');
  const ended = () => installation.ledger.submitted - installation.ledger.open;
  let isOver = false;
  // Spread over the steps, while the tasks still come in too: after each share of them one process dies.
  const killing = (async () => {
    for (; !isOver && sum() < victims; await sleep(LOOK_MS)) {
      if ((stepped.length + ended()) / (STEPS * tasks) < (sum() + 1) / (victims + 1)) continue;
      const what = random.pick(['worker', 'child'] as const);
      killed[what]++;
      if (!(await workers.killOne(random, what))) killed[what]--;
      else if (sum() % 10 === 0)
        say(`${stepped.length + ended()}/${STEPS * tasks} steps done, ${sum()}/${victims} processes killed`);
    }
  })();
  await installation.submit(assignments);
  await installation.settled(STALL_MS);
  isOver = true;
  await killing;
  const seconds = (performance.now() - startMs) / 1_000;
  const outcome = await installation.finish(workers);
  outcome.kills = sum();
  outcome.notes.push(
    `${killed.worker} workers and ${killed.child} children killed; ${((STEPS * tasks) / seconds).toFixed(0)} steps a second meanwhile; ${await installation.leftovers()} images between steps left to the sweep`,
  );
  if (sum() < victims) outcome.faults.push(`only ${sum()} of ${victims} processes were killed`);
  return outcome;
}
