/** The broker takes a task back from a slow worker, or the queue away from under it; both are survived. */
import { startRabbit } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import { addOutcomes, type Scenario, type ScenarioOutcome, type Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import { BAD_FUNCTIONS, prepareSleepers } from '../support/sleepers.ts';
import { makeTasks } from '../support/tasks.ts';

const CONSUMER_TIMEOUT_MS = 2_500;
/** Longer than the broker's patience, and than its look at it once a second. */
const TASK_MS = 5_500;
const CONSUMING_LIMIT_MS = 10_000;

export const takenBack: Scenario = {
  name: 'taken-back',
  shows: 'consumer_timeout shorter than the task; queue deleted under a worker, or before the next step',
  run: async (stage) =>
    addOutcomes([await consumerTimeout(stage), await deletedQueue(stage), await missingQueue(stage)]),
};

async function consumerTimeout({ version, choose, say }: Stage): Promise<ScenarioOutcome> {
  const tasks = choose(2, 6);
  await using node = await startRabbit({ version, config: `consumer_timeout = ${CONSUMER_TIMEOUT_MS}` });
  // RabbitMQ 3 looks once a minute; 4.3 looks when the time has come.
  if (version === '3.10') await node.ctl('eval', 'application:set_env(rabbit, channel_tick_interval, 1000).');
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS, RETRY_DELAYS: '200ms' };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(installation);
  const workers = installation.supervise([{ filters: ['sleep'] }, { filters: ['sleep'] }]);
  await workers.ready();
  const started = await installation.follow('started');
  await installation.submit(Array.from({ length: tasks }, (_, n) => sleeper(`slow-${n}`, TASK_MS)));
  const outcome = await installation.finish(workers);
  const again = started.length - tasks;
  outcome.notes.push(
    `consumer_timeout ${CONSUMER_TIMEOUT_MS} ms, tasks of ${TASK_MS} ms: taken back ${again} times, each task ended once`,
  );
  say(outcome.notes.at(-1)!);
  if (again === 0) outcome.faults.push('the broker never took a task back');
  return outcome;
}

async function deletedQueue({ node, choose, say }: Stage): Promise<ScenarioOutcome> {
  const rounds = choose(2, 10);
  const env = { FUNCTIONS_DIR: BAD_FUNCTIONS };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const sleeper = await prepareSleepers(installation);
  const workers = installation.supervise([{ filters: ['sleep'] }]);
  await workers.ready();
  const queue = installation.names.queue('sleep');
  let worstMs = 0;
  for (let round = 0; round < rounds; round++) {
    await installation.broker.withChannel((channel) => channel.deleteQueue(queue));
    await until(
      async () => !(await workers.current[0]!.isReady()),
      'a worker that knows that its queue is gone',
    );
    await installation.declare();
    const declaredMs = performance.now();
    await workers.ready();
    worstMs = Math.max(worstMs, performance.now() - declaredMs);
    await installation.submit([sleeper(`after-${round}`, 0)]);
    await installation.settled();
    say(`${round + 1}/${rounds} queues deleted and declared again`);
  }
  const outcome = await installation.finish(workers);
  outcome.kills = rounds;
  outcome.notes.push(
    `${rounds} × queue deleted: not ready meanwhile, consuming at most ${(worstMs / 1_000).toFixed(1)} s after it was declared again`,
  );
  if (worstMs > CONSUMING_LIMIT_MS)
    outcome.faults.push(
      `consuming again only after ${Math.round(worstMs)} ms; expected ${CONSUMING_LIMIT_MS}`,
    );
  return outcome;
}

/** The next step's queue is not there: the broker returns the message, and the step is tried again until it is. */
async function missingQueue({ node, random, choose, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(20, 200);
  const env = { RETRY_DELAYS: '300ms,1s,2s,4s,8s' };
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl, env }, random);
  const { installation, workers, kinds } = setup;
  const retried = await installation.follow('retrying');
  const last = 'flip';
  await installation.broker.withChannel((channel) => channel.deleteQueue(installation.names.queue(last)));
  const later = kinds.filter(({ steps }) => steps[0]!.filter !== last);
  await installation.submit(makeTasks('unroutable', count, later, random));
  await until(() => retried.length > 0, 'a step that is tried again');
  await installation.declare();
  const outcome = await installation.finish(workers);
  const reasons = new Set(retried.map(({ data }) => String(data.failure_type)));
  outcome.notes.push(`next step’s queue missing: ${retried.length} retries (${[...reasons].join(', ')})`);
  say(outcome.notes.at(-1)!);
  return outcome;
}
