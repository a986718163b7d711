/** The drain ends before the work does: the task goes to another worker, uncounted, and the worker leaves with 0. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { openPlant, type Plant } from '../support/installation.ts';
import { addOutcomes, type Outcome, type Scenario, type Stage } from '../support/scenario.ts';
import { BAD_FUNCTIONS, prepareSleepers } from '../support/sleepers.ts';
import type { TaskEventBody } from '../support/watch.ts';

const TASK_MS = 6_000;
/**
 * Two signals within half a second count as one, since a terminal sends Ctrl-C twice through npm. A busy worker may
 * notice the first one late.
 */
const SECOND_SIGNAL_MS = 2_500;
/** Still at work when the alarm has been raised by a command that takes seconds itself. */
const BLOCKED_TASK_MS = 7_000;
/** The default chain of times, in small. */
const TIMES = {
  TASK_TIMEOUT: '9s',
  DRAIN_TIMEOUT: '10s',
  TERMINATION_GRACE_PERIOD: '30s',
  KEDA_COOLDOWN: '31s',
};
/** Longer than the drain, less than the grace period. */
const EXIT_LIMIT_MS = 25_000;

export const drain: Scenario = {
  name: 'drain',
  shows: 'the drain’s deadline: the task is given back, finished elsewhere, exit code 0',
  run,
};

async function run(stage: Stage): Promise<Outcome> {
  const outcomes = [await secondSignal(stage)];
  if (stage.profile === 'full') outcomes.push(await blockedBroker(stage));
  return addOutcomes(outcomes);
}

/** A second SIGTERM ends the drain at once, which is the same way out as its deadline. */
async function secondSignal({ choose, node, say }: Stage): Promise<Outcome> {
  const rounds = choose(2, 10);
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS, CRASH_LIMIT: '1' };
  await using plant = await openPlant({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(plant);
  const crew = plant.crew([{ filters: ['sleep'] }]);
  const started = await plant.follow('started');
  const codes: (number | null)[] = [];
  for (let round = 0; round < rounds; round++) {
    await crew.ready();
    const id = `given-back-${round}`;
    await plant.submit([sleeper(id, TASK_MS)]);
    await startedTimes(started, id, 1);
    const member = crew.members[0]!;
    member.signal('SIGTERM');
    await sleep(SECOND_SIGNAL_MS);
    codes.push(await member.stop());
    // The supervisor's next worker takes it.
    await startedTimes(started, id, 2);
    await plant.settled();
    say(`${round + 1}/${rounds} tasks given back and finished by another worker`);
  }
  const attempts = started.map(({ data }) => Number(data.attempt));
  const outcome = await plant.finish(crew);
  outcome.kills = rounds;
  outcome.notes.push(`${rounds} tasks given back, exit codes ${[...new Set(codes)].join(', ')}`);
  if (codes.some((code) => code !== 0)) outcome.faults.push(`exit codes ${codes.join(', ')}; expected 0`);
  if (attempts.some((attempt) => attempt !== 0))
    outcome.faults.push('giving back counted as a failed attempt');
  return outcome;
}

/** The broker takes no messages, so no copy can be given back: the message itself must go back in time. */
async function blockedBroker({ node, version, say }: Stage): Promise<Outcome> {
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS, ...TIMES };
  await using plant = await openPlant({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(plant);
  const crew = plant.crew([{ filters: ['sleep'] }]);
  await crew.ready();
  const started = await plant.follow('started');
  await plant.submit([sleeper('blocked', BLOCKED_TASK_MS)]);
  await startedTimes(started, 'blocked', 1);
  await node.ctl('set_disk_free_limit', '1000GB');
  if (plant.ledger.open === 0) throw new Error('the alarm came too late to stop anything');
  const member = crew.members[0]!;
  const beganMs = performance.now();
  const code = await Promise.race([member.stop(), timeUp(EXIT_LIMIT_MS)]);
  const seconds = (performance.now() - beganMs) / 1_000;
  await node.ctl('set_disk_free_limit', '50MB');
  say(`under a disk alarm the worker ended with ${code} after ${seconds.toFixed(1)} s`);
  const outcome = await finishSoon(plant, crew);
  outcome.kills = 1;
  outcome.notes.push(
    `under a disk alarm (${version}) a worker whose result could not be published ended with ${code} after ${seconds.toFixed(1)} s`,
  );
  if (code !== 0)
    outcome.faults.push(`exit code ${code} under a disk alarm; expected 0 within ${EXIT_LIMIT_MS} ms`);
  return outcome;
}

async function finishSoon(plant: Plant, crew: Parameters<Plant['finish']>[0]): Promise<Outcome> {
  await crew.ready();
  return await plant.finish(crew);
}

async function startedTimes(started: TaskEventBody[], id: string, times: number): Promise<void> {
  await until(
    () => started.filter(({ subject }) => subject === id).length >= times,
    `start ${times} of "${id}"`,
  );
}

async function timeUp(ms: number): Promise<string> {
  return await new Promise((resolve) => setTimeout(() => resolve('no exit'), ms).unref());
}
