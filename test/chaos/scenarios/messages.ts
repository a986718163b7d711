/**
 * Generated messages, from valid to hostile, of a user who may do nothing but publish: each ends in a result or a dead
 * letter, none ends a worker, gets into a queue that is not its own, or breaks a command or a terminal.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import sharp from 'sharp';
import { uniqueName } from '../../support/rabbit.ts';
import { firstOf, letterTypes } from '../support/audit.ts';
import { type AuditedInstallation, openAuditedInstallation } from '../support/audited-installation.ts';
import { inspectMarkers } from '../support/markers.ts';
import { type MakeMessage, wildMessage } from '../support/messages.ts';
import { Operator } from '../support/operator.ts';
import { Outsider } from '../support/outsider.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { oneFilterEach } from '../support/scenario-setup.ts';
import { FILTERS } from '../support/tasks.ts';

const BATCH = 500;
const OPEN_MAX = 3_000;
const LARGEST_EVENT_BYTES = 16 * 1_048_576;
const LONGEST_REASON = 2_000;

export const messages: Scenario = {
  name: 'messages',
  shows: 'generated messages: valid, nearly valid, hostile, garbage, with headers of every type',
  run,
};

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const { choose, node, seed, say } = stage;
  const count = choose(2_000, 100_000);
  const env = { RETRY_DELAYS: '50ms,100ms', INPUT_GRACE: '10ms', REPLY_QUEUES: '*-seen-*' };
  const options = { amqpUrl: node.amqpUrl, env, byReply: true, lettersUnread: true };
  await using installation = await openAuditedInstallation(options);
  await using _ = await Outsider.admit(installation, node);
  const photo = await putInputs(installation);
  const eventBytes = await watchSizes(installation);
  const bystander = await declareBystander(installation);
  const workers = installation.supervise(oneFilterEach(2));
  await workers.ready();
  const { exchange, dead, queue } = installation.names;
  const queues = [exchange, dead, bystander, ...FILTERS.map(queue), `${exchange}.retry.50ms`];
  const wild = wildMessage({ photo, filters: FILTERS, queues });
  const operator = new Operator(installation);
  for (let sent = 0; sent < count; sent += BATCH) {
    const makers = fc.sample(wild, { seed: seed + sent, numRuns: Math.min(BATCH, count - sent) });
    await submitBatch(installation, makers, sent);
    if (sent === 0) {
      await installation.quiet(workers);
      await lookAround(operator, stage);
      await installation.readLetters();
    }
    while (installation.ledger.open > OPEN_MAX) await sleep(50);
    if (sent % (10 * BATCH) === 0)
      say(`${sent}/${count} messages sent, ${installation.ledger.open} without an outcome yet`);
  }
  const outcome = await installation.finish(workers);
  const { markers, faults } = await inspectMarkers(installation);
  outcome.notes.push(
    `${outcome.results} results and ${outcome.deadLetters} dead letters, by ${workers.current.length} workers of which none ended`,
    letterTypes(installation.ledger),
    `${markers} markers, all readable; the largest event has ${(Math.max(...eventBytes) / 1_024).toFixed(0)} KiB; ${operator.commands} commands looked at the first ${BATCH}`,
  );
  faults.push(...longReasons(installation), ...operator.faults);
  if (Math.max(...eventBytes) > LARGEST_EVENT_BYTES) faults.push('an event is larger than RabbitMQ 4 takes');
  if ((await installation.depth(bystander)) > 0) faults.push('a message lies in a queue that is not its own');
  outcome.faults.push(...firstOf(faults));
  return outcome;
}

async function putInputs(installation: AuditedInstallation): Promise<Buffer> {
  const photo = await sharp({ create: { width: 9, height: 7, channels: 3, background: '#306090' } })
    .png()
    .toBuffer();
  await installation.put('photo.png', photo);
  await installation.put('words.txt', Buffer.from('no image at all'));
  return photo;
}

/** The sizes of the events, each time one is larger than all before. */
async function watchSizes(installation: AuditedInstallation): Promise<number[]> {
  const largest = [0];
  await installation.watch(installation.names.events, ['#'], ({ body }) => {
    if (body.length > largest.at(-1)!) largest.push(body.length);
  });
  return largest;
}

/** Somebody else's queue on the same broker. */
async function declareBystander({ broker }: AuditedInstallation): Promise<string> {
  const queue = uniqueName('bystander');
  await broker.withChannel((channel) =>
    channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-expires': 86_400_000 },
    }),
  );
  return queue;
}

async function submitBatch(
  installation: AuditedInstallation,
  makers: MakeMessage[],
  sent: number,
): Promise<void> {
  await installation.submit(
    makers.map((make, index) => {
      const id = `m${sent + index}`;
      const { body, ...message } = make(`-${id}`);
      return { id, expect: 'either' as const, task: body, ...message };
    }),
  );
}

/** Looks at the dead letters of the first messages, and at how their tasks stand. */
async function lookAround(operator: Operator, { choose, random, say }: Stage): Promise<void> {
  const listed = JSON.parse(await operator.run('dead', 'list', '--json', '--limit', '100000')) as {
    id: string;
  }[];
  say(`${listed.length} dead letters are there to be looked at`);
  await operator.runInTerminal('dead', 'list');
  await operator.run('dead', 'export', '/dev/null');
  // The operating system passes no NUL to a program.
  const ids = listed.map(({ id }) => id).filter((id) => id !== '' && !id.includes('\0'));
  const chosen = random.shuffle(ids).slice(0, choose(2, 50));
  for (const id of chosen) {
    await operator.run('dead', 'show', '--', id);
    await operator.runInTerminal('status', '--', id);
  }
}

function longReasons({ ledger }: AuditedInstallation): string[] {
  const letters = [...ledger.entries.values()].flatMap(({ id, letters }) =>
    letters.map(({ reason }) => ({ id, reason })),
  );
  return letters
    .filter(({ reason }) => reason.length > LONGEST_REASON)
    .map(({ id, reason }) => `the reason of "${id}" has ${reason.length} characters`);
}
