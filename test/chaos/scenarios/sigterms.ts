/** Workers are told to stop in the middle of a task that fits the grace: they finish it, and nothing comes again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { BAD_FUNCTIONS, prepareSleepers } from '../support/sleepers.ts';
import type { WorkerProcesses } from '../support/worker-processes.ts';

const WORKERS = 4;
const TASK_MS = 900;

export const sigterms: Scenario = {
  name: 'sigterms',
  shows: 'SIGTERM in mid-task: the task is finished, and not delivered again',
  run,
};

async function run({ choose, node, random, say, slots }: Stage): Promise<ScenarioOutcome> {
  const signals = choose(8, 50);
  // With this limit a single further delivery makes a task a dead letter.
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS, CRASH_LIMIT: '1' };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(installation);
  const workers = installation.supervise(Array.from({ length: WORKERS }, () => ({ filters: ['sleep'] })));
  const started = await installation.follow('started');
  const codes: (number | null)[] = [];
  let named = 0;
  while (codes.length < signals) {
    await workers.ready();
    const seen = started.length;
    const tasks = WORKERS * slots;
    await installation.submit(Array.from({ length: tasks }, () => sleeper(`sigterm-${named++}`, TASK_MS)));
    await until(() => started.length === seen + tasks, 'a task in every slot of every worker');
    await sleep(random.integer(0, TASK_MS / 2));
    codes.push(...(await stopAll(workers)));
    say(`${codes.length}/${signals} workers told to stop`);
  }
  const outcome = await installation.finish(workers);
  outcome.kills = codes.length;
  const repeats = started.length - new Set(started.map(({ subject }) => subject)).size;
  outcome.notes.push(
    `${codes.length} SIGTERMs, ${repeats} tasks delivered again, exit codes ${[...new Set(codes)].join(', ')}`,
  );
  if (repeats > 0) outcome.faults.push(`${repeats} tasks were started again`);
  if (codes.some((code) => code !== 0)) outcome.faults.push(`exit codes ${codes.join(', ')}; expected 0`);
  return outcome;
}

/** The supervisor starts a new worker in the place of each. */
async function stopAll(workers: WorkerProcesses): Promise<(number | null)[]> {
  return await Promise.all([...workers.current].map((worker) => worker.stop()));
}
