/** Queues that refuse messages: a task goes on without its reply or event, and waits in sight with a step or a dead letter. */
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { uniqueName } from '../../support/rabbit.ts';
import { until } from '../../support/until.ts';
import type { WorkerProcess } from '../../support/worker-process.ts';
import {
  type Assignment,
  type AuditedInstallation,
  openAuditedInstallation,
} from '../support/audited-installation.ts';
import { renderAll } from '../support/expected.ts';
import { FullQueues, fill } from '../support/full-queues.ts';
import { addOutcomes, type Scenario, type ScenarioOutcome, type Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import { makeTasks } from '../support/tasks.ts';
import type { WorkerProcesses } from '../support/worker-processes.ts';

const NOT_SENT = 'darkroom_messages_not_sent_total';
const QUEUE_EXPIRY_MS = 3_600_000;
/** Beyond the age at which a task in hand means that its worker is stuck. */
const FULL_HOLD_MS = 75_000;
/** A worker asks a queue that refuses again after at most five seconds. */
const SEEN_LIMIT_MS = 20_000;

export const refusals: Scenario = {
  name: 'refusals',
  shows: 'reply, audit, next step’s and dead letter queues that refuse messages for a while',
  run: async (stage) => addOutcomes([await untoldEnds(stage), await waitingTasks(stage)]),
};

/** Nobody loses a task without its reply or its event: they are given up, counted and logged. */
async function untoldEnds({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(12, 200);
  const options = { amqpUrl: node.amqpUrl, env: { REPLY_QUEUES: '*-answers' } };
  await using setup = await setUpScenario(options, random);
  const { installation, workers, kinds } = setup;
  const answers = await declare(installation, 'answers');
  const audit = await declare(installation, 'audit', 'task.#');
  const asking = (word: string): Assignment[] =>
    makeTasks(word, count, kinds, random).map((task) => ({ ...task, properties: { replyTo: answers } }));

  await using full = await FullQueues.limit(node, [answers, audit]);
  await Promise.all([fill(installation, answers), fill(installation, audit)]);
  await installation.submit(asking('untold'));
  await installation.settled();
  // An event is tried a few times more than we have heard it.
  await installation.quiet(workers);
  const [replies, events] = await Promise.all(['reply', 'event'].map((what) => sumOf(workers.current, what)));
  const lines = workers.current.flatMap(({ logs }) => logs);
  const logged = lines.filter(({ msg }) => String(msg).includes('it is given up')).length;
  for (const queue of [answers, audit])
    await installation.broker.withChannel((channel) => channel.purgeQueue(queue));
  await full.letGo();
  await installation.submit(asking('told'));
  const outcome = await installation.finish(workers);
  const came = await Promise.all([answers, audit].map((queue) => installation.depth(queue)));
  outcome.notes.push(
    `${count} tasks ended while their replies and an audit queue were refused: ${replies} replies and ${events} final events given up, ${logged} times logged; of ${count} afterwards ${came[0]} replies and ${came[1]} events came`,
  );
  say(outcome.notes.at(-1)!);
  if (replies! < count || events! < count || logged < 2 * count)
    outcome.faults.push('a message that was given up was not counted, or not logged');
  if (came.some((arrived) => arrived < count))
    outcome.faults.push('a queue that takes again gets too little');
  return outcome;
}

/** A task would be lost without its next step or its dead letter: it waits, everybody can see that, and others go on. */
async function waitingTasks({ choose, node, say }: Stage): Promise<ScenarioOutcome> {
  const count = choose(12, 200);
  const holdMs = choose(2_000, FULL_HOLD_MS);
  const times = { RETRY_DELAYS: '100ms', INPUT_GRACE: '10ms', TASK_TIMEOUT: '1s', DRAIN_TIMEOUT: '1500ms' };
  // With this limit a task that is given back, and counted, would be a dead letter.
  const env = { ...times, CRASH_LIMIT: '1' };
  const options = { amqpUrl: node.amqpUrl, env, lettersUnread: true };
  await using installation = await openAuditedInstallation(options);
  const make = await taskMaker(installation);
  const workers = installation.supervise([{ filters: ['resize'] }, { filters: ['brightness'] }]);
  const others = [installation.supervise([{ filters: ['contrast'] }])];
  await Promise.all([workers.ready(), others[0]!.ready()]);
  const { dead, queue } = installation.names;
  await using full = await FullQueues.limit(node, [queue('flip'), dead]);
  await installation.submit([
    ...(await make('step', count, ['resize', 'flip'])),
    ...(await make('letter', count, ['brightness'], 'nothing.png')),
  ]);
  await seenWaiting(workers);
  const free = await make('free', count, ['contrast']);
  await installation.submit(free);
  await sleep(holdMs);
  const { entries } = installation.ledger;
  const endedMeanwhile = free.filter(({ id }) => entries.get(id)?.ending !== undefined).length;
  const live = await Promise.all(workers.current.map((worker) => worker.get('/livez')));
  // Workers that wait can still be told to stop, and others wait in their place.
  const first = [...workers.current];
  const codes = await Promise.all(first.map((worker) => worker.stop()));
  await until(() => workers.current.every((worker) => !first.includes(worker)), 'others in their place');
  await seenWaiting(workers);
  others.push(installation.supervise([{ filters: ['flip'] }]));
  await Promise.all([installation.readLetters(), others[1]!.ready()]);
  await workers.ready();
  await full.letGo();
  const outcome = await installation.finish(workers);
  for (const supervised of others) codes.push(...(await supervised.stop()));
  outcome.notes.push(
    `next step and dead letters refused for ${holdMs / 1_000} s: both workers not ready and saying why, ${endedMeanwhile} of ${count} tasks of another filter ended meanwhile; all ended afterwards`,
  );
  say(outcome.notes.at(-1)!);
  if (live.some(({ status }) => status !== 200))
    outcome.faults.push('a worker that waits is said to be stuck');
  if (endedMeanwhile < count) outcome.faults.push('tasks of another filter did not go on');
  if (codes.some((each) => each !== 0)) outcome.faults.push(`exit codes ${codes.join(', ')}; expected 0`);
  return outcome;
}

/** For others, and none of Darkroom's. */
async function declare(installation: AuditedInstallation, word: string, key?: string): Promise<string> {
  const queue = `${uniqueName('other')}-${word}`;
  const queueArguments = { 'x-queue-type': 'quorum', 'x-expires': QUEUE_EXPIRY_MS };
  await installation.broker.withChannel(async (channel) => {
    await channel.assertQueue(queue, { durable: true, arguments: queueArguments });
    if (key !== undefined) await channel.bindQueue(queue, installation.names.events, key);
  });
  return queue;
}

async function sumOf(workers: WorkerProcess[], purpose: string): Promise<number> {
  const counts = await Promise.all(workers.map((worker) => worker.metric(NOT_SENT, { purpose })));
  return counts.reduce((sum, count) => sum + count, 0);
}

const WAITS = { resize: 'step', brightness: 'letter' } as const;

/** Each is not ready and says why, and tells it by a gauge that alerts can watch and by a line in its log. */
async function seenWaiting({ current }: WorkerProcesses): Promise<void> {
  const looks = Object.entries(WAITS).map(async ([filter, what], place) => {
    const worker = current[place]!;
    const isSeen = async () => {
      if (worker.port === 0) return false;
      const { status, body } = await worker.get('/readyz');
      const isSaid = status === 503 && body.includes('waits');
      const isLogged = worker.logs.some(
        ({ msg, purpose }) => /is sent again/.test(String(msg)) && purpose === what,
      );
      return isSaid && isLogged && (await worker.metric('darkroom_waiting', { filter })) === 1;
    };
    await until(isSeen, `the worker of ${filter} to say that it waits with a ${what}`, SEEN_LIMIT_MS);
  });
  await Promise.all(looks);
}

const PARAMS: Record<string, Record<string, unknown>> = {
  resize: { width: 12, height: 9 },
  brightness: { factor: 1.3 },
  contrast: { factor: 1.2 },
  flip: { direction: 'horizontal' },
};

/** Tasks of the given filters, with the result that they must have, or none where their input is not there. */
async function taskMaker(installation: AuditedInstallation) {
  const input = 'photo.png';
  const photo = await sharp({ create: { width: 20, height: 15, channels: 3, background: '#306090' } })
    .png()
    .toBuffer();
  await installation.put(input, photo);
  const output = { format: 'png' };
  return async (word: string, count: number, filters: string[], from = input): Promise<Assignment[]> => {
    const steps = filters.map((filter) => ({ filter, params: PARAMS[filter]! }));
    const bytes = await renderAll(photo, { steps, output });
    return Array.from({ length: count }, (_, n) => {
      const id = `${word}-${n}`;
      const expected = from === input ? { bytes } : { expect: 'dead letter' as const };
      return { id, ...expected, task: { id, input: from, steps, output } };
    });
  };
}
