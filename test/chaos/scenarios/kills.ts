/**
 * Workers and their children die by kill -9 at random while tasks of three steps pass through them. Meanwhile every tenth
 * message is forged, and every tenth marker and image between two steps is damaged.
 */
import { Killer } from '../support/killer.ts';
import { Outsider } from '../support/outsider.ts';
import { FORGED_SHARE, Sabotage } from '../support/sabotage.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import { makeTasks } from '../support/tasks.ts';

const WORKERS_PER_FILTER = 2;
const STEPS = 3;

export const kills: Scenario = {
  name: 'kills',
  shows: 'kill -9 of workers and their children, among forged messages, damaged markers and intermediates',
  run,
};

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const { choose, node, random } = stage;
  const tasks = choose(300, 10_000);
  const victims = choose(20, 200);
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl }, random, WORKERS_PER_FILTER);
  const { installation, workers, kinds } = setup;
  await using _ = await Outsider.admit(installation, node);

  const startMs = performance.now();
  const assignments = makeTasks('task', tasks, kinds, random);
  const impostors = makeTasks('impostor', Math.ceil(tasks * FORGED_SHARE), kinds, random);
  const steps = STEPS * (assignments.length + impostors.length);
  const stepped = await installation.follow('step-completed');
  const ended = () => installation.ledger.submitted - installation.ledger.open;
  const killer = new Killer(workers, { victims, progress: () => (stepped.length + ended()) / steps });
  const sabotage = new Sabotage(installation, random);
  await sabotage.start();
  killer.start(stage);
  await sabotage.submit(assignments, impostors);
  // All tasks take their first step before the first of them takes its last.
  await installation.settled(choose(60_000, 600_000));
  await killer.stop();
  const seconds = (performance.now() - startMs) / 1_000;
  const sabotaged = await sabotage.stop();
  const outcome = await installation.finish(workers);
  outcome.kills = killer.count;
  const { worker, child } = killer.killed;
  outcome.notes.push(
    `${worker} workers and ${child} children killed; ${(steps / seconds).toFixed(0)} steps a second meanwhile; ${await installation.leftovers()} images between steps left to the sweep`,
    ...sabotaged.notes,
  );
  outcome.faults.push(...sabotaged.faults);
  if (killer.count < victims) outcome.faults.push(`only ${killer.count} of ${victims} processes were killed`);
  return outcome;
}
