/**
 * Generated dead letters, and generated markers and records in the storage: every command tells of each of them, none
 * breaks or prints what a terminal would obey, and what is replayed gets into no queue but those of the filters.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { standingOf } from '../../../runtime/cli/task-standing.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { until } from '../../support/until.ts';
import { firstOf } from '../support/audit.ts';
import { type AuditedInstallation, openAuditedInstallation } from '../support/audited-installation.ts';
import type { MakeMessage } from '../support/messages.ts';
import { Operator } from '../support/operator.ts';
import { Outsider } from '../support/outsider.ts';
import { noFigures, type Scenario, type ScenarioOutcome, type Stage } from '../support/scenario.ts';
import { oneFilterEach } from '../support/scenario-setup.ts';
import { FILTERS } from '../support/tasks.ts';
import { wildLetter } from '../support/wild-letters.ts';
import { writeWildState } from '../support/wild-state.ts';

const BATCH = 200;
/** For ten thousand letters on a busy machine. */
const SETTLE_MS = 120_000;
const ALL = ['--limit', '1000000', '--json'];

export const letters: Scenario = {
  name: 'letters',
  shows: 'generated dead letters, markers and records: every command tells of each, and none breaks',
  run,
};

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const { choose, node, random, seed, say } = stage;
  const count = choose(300, 10_000);
  const env = { RETRY_DELAYS: '50ms', INPUT_GRACE: '10ms' };
  const options = { amqpUrl: node.amqpUrl, env, lettersUnread: true };
  await using installation = await openAuditedInstallation(options);
  await using outsider = await Outsider.admit(installation, node);
  const { dead, exchange, queue } = installation.names;
  const site = { photo: Buffer.from('photo'), filters: FILTERS, queues: [exchange, dead, queue('flip')] };
  await publishLetters(installation, outsider, fc.sample(wildLetter(site), { seed, numRuns: count }));
  const ids = await writeWildState(installation.folder, count, random);
  say(`${count} letters and the state of ${count} tasks written`);
  const operator = new Operator(installation);
  const faults = await lookAtLetters(operator, installation, count, stage);
  const damaged = await damagedStates(installation, ids);
  for (const id of random.shuffle(ids).slice(0, choose(3, 8))) {
    await operator.run('status', '--', id);
    await operator.run('cancel', '--', id);
  }
  const replayed = await replayAndPurge(operator, installation, faults, stage);
  faults.push(...operator.faults);
  const notes = [
    `${count} letters, and the state of ${count} tasks, of which ${damaged} are damaged; ${operator.commands} commands looked at them; ${replayed} letters replayed and worked on`,
  ];
  return { ...noFigures(), submitted: 2 * count, unexplained: faults.length, notes, faults: firstOf(faults) };
}

/** Half of them by a user of the installation, whose letters are believed; the others where no queue takes them. */
async function publishLetters(
  installation: AuditedInstallation,
  outsider: Outsider,
  makers: MakeMessage[],
): Promise<void> {
  const { dead, exchange } = installation.names;
  const publish = async (make: MakeMessage, n: number) => {
    const { body, filter, properties } = make(`-l${n}`);
    const { userId: _, ...named } = properties;
    if (n % 2 === 0)
      await installation.broker.publish({ exchange: dead, routingKey: filter, body, properties: named });
    else await outsider.broker.publish({ exchange, routingKey: `no-${n % 7}`, body, properties });
  };
  for (let start = 0; start < makers.length; start += BATCH)
    await Promise.all(makers.slice(start, start + BATCH).map((make, n) => publish(make, start + n)));
}

async function lookAtLetters(
  operator: Operator,
  installation: AuditedInstallation,
  count: number,
  { choose, random }: Stage,
): Promise<string[]> {
  const faults: string[] = [];
  const listed = JSON.parse(await operator.run('dead', 'list', ...ALL)) as { id: string }[];
  if (listed.length !== count) faults.push(`${listed.length} of ${count} letters are listed`);
  await operator.runInTerminal('dead', 'list');
  await operator.run('dead', 'list', '--reason', 'x', '--older-than', '1s');
  await operator.run('dead', 'replay', '--dry-run', '--json');
  // The operating system passes no NUL to a program.
  const ids = listed.map(({ id }) => id).filter((id) => id !== '' && !id.includes('\0'));
  for (const id of random.shuffle(ids).slice(0, choose(3, 8))) {
    await operator.runInTerminal('dead', 'show', '--', id);
    await operator.run('status', '--', id);
  }
  const file = join(installation.home, 'letters.jsonl');
  await operator.run('dead', 'export', file);
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  if (lines.filter((line) => JSON.parse(line).id !== undefined).length !== count)
    faults.push(`${lines.length} of ${count} letters are exported`);
  return faults;
}

/** Nothing in the storage can make looking at it fail. @returns how many have something that cannot be read */
async function damagedStates({ folder }: AuditedInstallation, ids: string[]): Promise<number> {
  const storage = await openStorage(`file://${folder}`);
  let damaged = 0;
  for (const id of ids) {
    const { end, record } = await standingOf(storage, id);
    if (end?.damage !== undefined || record === 'damaged') damaged++;
  }
  return damaged;
}

/** @returns how many letters were replayed */
async function replayAndPurge(
  operator: Operator,
  installation: AuditedInstallation,
  faults: string[],
  { choose }: Stage,
): Promise<number> {
  const { dead } = installation.names;
  const count = choose(50, 1_000);
  const chosen = ['--limit', String(count), '--json'];
  const { replayed } = JSON.parse(await operator.run('dead', 'replay', ...chosen)) as { replayed: unknown[] };
  const workers = installation.supervise(oneFilterEach(1));
  await workers.ready();
  if (!(await installation.quiet(workers, SETTLE_MS)))
    faults.push('a replayed letter still waits in a queue');
  const before = await installation.depth(dead);
  const { purged } = JSON.parse(await operator.run('dead', 'purge', '--yes', ...chosen)) as {
    purged: unknown[];
  };
  // What the command looked at and left comes back to the queue a moment after it has ended.
  const isGone = async () => before - (await installation.depth(dead)) === count;
  const gone = await until(isGone, 'the purge', SETTLE_MS).catch(() => false);
  if (purged.length !== count || !gone)
    faults.push(
      `${purged.length} letters are said to be purged, and ${before - (await installation.depth(dead))} are gone; expected ${count}`,
    );
  await workers.stop();
  faults.push(...workers.deaths);
  return replayed.length;
}
