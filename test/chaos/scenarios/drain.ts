/** The drain ends before the work does: the task goes to another worker, uncounted, and the worker leaves with 0. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskEventMessage } from '../../support/task-events.ts';
import { until } from '../../support/until.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import { addOutcomes, type Scenario, type ScenarioOutcome, type Stage } from '../support/scenario.ts';
import { BAD_FUNCTIONS, prepareSleepers } from '../support/sleepers.ts';

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

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const outcomes = [await secondSignal(stage)];
  if (stage.profile === 'full') outcomes.push(await blockedBroker(stage));
  return addOutcomes(outcomes);
}

/** A second SIGTERM ends the drain at once, which is the same way out as its deadline. */
async function secondSignal({ choose, node, say, slots }: Stage): Promise<ScenarioOutcome> {
  const rounds = choose(2, 10);
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS, CRASH_LIMIT: '1' };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(installation);
  const workers = installation.supervise([{ filters: ['sleep'] }]);
  const started = await installation.follow('started');
  const codes: (number | null)[] = [];
  for (let round = 0; round < rounds; round++) {
    await workers.ready();
    const ids = Array.from({ length: slots }, (_, slot) => `given-back-${round}-${slot}`);
    await installation.submit(ids.map((id) => sleeper(id, TASK_MS)));
    await startedTimes(started, ids, 1);
    const worker = workers.current[0]!;
    worker.signal('SIGTERM');
    await sleep(SECOND_SIGNAL_MS);
    codes.push(await worker.stop());
    // The supervisor's next worker takes it.
    await startedTimes(started, ids, 2);
    await installation.settled();
    say(`${(round + 1) * slots}/${rounds * slots} tasks given back and finished by another worker`);
  }
  const attempts = started.map(({ data }) => Number(data.attempt));
  const outcome = await installation.finish(workers);
  outcome.kills = rounds;
  outcome.notes.push(`${rounds * slots} tasks given back, exit codes ${[...new Set(codes)].join(', ')}`);
  if (codes.some((code) => code !== 0)) outcome.faults.push(`exit codes ${codes.join(', ')}; expected 0`);
  if (attempts.some((attempt) => attempt !== 0))
    outcome.faults.push('giving back counted as a failed attempt');
  return outcome;
}

/** The broker takes no messages, so no copy can be given back: the message itself must go back in time. */
async function blockedBroker({ node, version, say }: Stage): Promise<ScenarioOutcome> {
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS, ...TIMES };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(installation);
  const workers = installation.supervise([{ filters: ['sleep'] }]);
  await workers.ready();
  const started = await installation.follow('started');
  await installation.submit([sleeper('blocked', BLOCKED_TASK_MS)]);
  await startedTimes(started, ['blocked'], 1);
  await node.ctl('set_disk_free_limit', '1000GB');
  if (installation.ledger.open === 0) throw new Error('the alarm came too late to stop anything');
  const worker = workers.current[0]!;
  const beganMs = performance.now();
  const code = await Promise.race([worker.stop(), timeUp(EXIT_LIMIT_MS)]);
  const seconds = (performance.now() - beganMs) / 1_000;
  await node.ctl('set_disk_free_limit', '50MB');
  say(`under a disk alarm the worker ended with ${code} after ${seconds.toFixed(1)} s`);
  await workers.ready();
  const outcome = await installation.finish(workers);
  outcome.kills = 1;
  outcome.notes.push(
    `under a disk alarm (${version}) a worker whose result could not be published ended with ${code} after ${seconds.toFixed(1)} s`,
  );
  if (code !== 0)
    outcome.faults.push(`exit code ${code} under a disk alarm; expected 0 within ${EXIT_LIMIT_MS} ms`);
  return outcome;
}

async function startedTimes(started: TaskEventMessage[], ids: string[], times: number): Promise<void> {
  const startsOf = (id: string) => started.filter(({ subject }) => subject === id).length;
  await until(() => ids.every((id) => startsOf(id) >= times), `start ${times} of ${ids.join(', ')}`);
}

async function timeUp(ms: number): Promise<string> {
  return await new Promise((resolve) => setTimeout(() => resolve('no exit'), ms).unref());
}
