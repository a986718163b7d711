/**
 * Two different tasks with one id at once, some of them cancelled on their way, while workers and children die: one of
 * the two wins, and what its event says is what is stored. Beside them tasks that would write over what they read.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../../runtime/cli/exit-codes.ts';
import { defaultOutputKey } from '../../../runtime/task/task-marker.ts';
import type { LedgerEntry } from '../../support/ledger.ts';
import { firstOf } from '../support/audit.ts';
import {
  type Assignment,
  type AuditedInstallation,
  openAuditedInstallation,
} from '../support/audited-installation.ts';
import { Killer } from '../support/killer.ts';
import type { Random } from '../support/random.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { oneFilterEach } from '../support/scenario-setup.ts';
import { prepareTaskKinds, type TaskKind } from '../support/tasks.ts';

const TWINS = ['a', 'b'] as const;
/** The twins are told apart by their messages, for their events have one id. */
const entryName = (id: string, twin: string) => `${id}/${twin}`;

export const sameId: Scenario = {
  name: 'same-id',
  shows: 'two tasks with one id, cancelled tasks, and tasks that would write over their input, under kill -9',
  run,
};

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const { choose, node, random } = stage;
  const ids = Array.from({ length: choose(60, 2_000) }, (_, n) => `twins-${n}`);
  const toCancel = random.shuffle(ids).slice(0, choose(6, 100));
  const env = { REPLY_QUEUES: '*-seen-*' };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env, byReply: true });
  const kinds = await prepareTaskKinds(installation, random);
  const inputsBefore = await inputsOf(installation, kinds);
  const workers = installation.supervise([...oneFilterEach(2), { filters: ['watermark'] }]);
  await workers.ready();
  const overwriting = overwritingTasks(kinds);
  const assignments = [...ids.flatMap((id, n) => twinsOf(id, n, kinds, random)), ...overwriting];
  const { ledger } = installation;
  const progress = () => (ledger.submitted - ledger.open) / assignments.length;
  const killer = new Killer(workers, { victims: choose(10, 100), progress });
  killer.start(stage);
  const [cancelFaults] = await Promise.all([
    cancelAll(installation, toCancel),
    installation.submit(random.shuffle(assignments)),
  ]);
  await installation.settled();
  await killer.stop();
  const outcome = await installation.finish(workers);
  outcome.kills = killer.count;
  const pairs = ids.map((id) => TWINS.map((twin) => ledger.entries.get(entryName(id, twin))!));
  const faults = [...cancelFaults, ...pairs.flatMap(judge), ...strayResults(installation, pairs)];
  if (!inputsBefore.equals(await inputsOf(installation, kinds))) faults.push('an input was written over');
  outcome.unexplained += faults.length;
  outcome.faults.push(...firstOf(faults));
  const cancelled = pairs.filter(isCancelled).length;
  outcome.notes.push(
    `${ids.length} ids with two tasks each: ${cancelled} cancelled in time (of ${toCancel.length} told to), in all others one task won; ${overwriting.length} tasks that would write over what they read`,
  );
  return outcome;
}

/** Different work under one id; the results of every second pair go to one place. */
function twinsOf(id: string, n: number, kinds: TaskKind[], random: Random): Assignment[] {
  const isOnePlace = n % 2 === 0;
  const fitting = isOnePlace ? kinds.filter(({ format }) => format === 'png') : kinds;
  const pair = random.shuffle(fitting).slice(0, TWINS.length);
  return pair.map(({ input, steps, format, bytes }, index) => {
    const twin = TWINS[index]!;
    const own = isOnePlace ? {} : { key: `out/${id}/${twin}.${format}` };
    const task = { id, input, steps, output: { format, ...own } };
    const key = own.key ?? defaultOutputKey(id, format);
    return { id: entryName(id, twin), expect: 'any', bytes, key, task };
  });
}

function overwritingTasks(kinds: TaskKind[]): Assignment[] {
  const [first, last] = [kinds[0]!.input, kinds.at(-1)!.input];
  const mark = [{ filter: 'watermark', params: { image: last } }];
  const tasks = [
    ...kinds.map(({ input, steps }) => ({ input, steps, output: { key: input } })),
    { input: first, steps: mark, output: { key: last } },
    { input: first, steps: [...mark, ...kinds[0]!.steps], output: { key: last } },
  ];
  return tasks.map((task, n) => ({ id: `over-${n}`, expect: 'dead letter', task }));
}

/** One after the other, as a person would. @returns what a cancellation must not say */
async function cancelAll(installation: AuditedInstallation, ids: string[]): Promise<string[]> {
  const faults: string[] = [];
  for (const id of ids) {
    const { code, stderr } = await installation.darkroom('cancel', id);
    if (code !== EXIT.ok && code !== EXIT.failed) faults.push(`cancel ${id} ended with ${code}: ${stderr}`);
  }
  return faults;
}

function isCancelled(pair: LedgerEntry[]): boolean {
  return pair.every(({ told }) => told.cancelled > 0);
}

/** Both are cancelled, or one is completed and the other told that the id is taken. */
function judge(pair: LedgerEntry[]): string[] {
  if (isCancelled(pair)) return [];
  const winners = pair.filter(({ told }) => told.completed > 0);
  const losers = pair.filter(({ letters }) => letters.some(({ type }) => type === 'task-id-reused'));
  if (winners.length === 1 && losers.length === 1 && winners[0] !== losers[0]) return [];
  const ends = pair.map(({ id, told, letters }) => `${id}: ${JSON.stringify({ told, letters })}`);
  return [`of two tasks with one id not one has won: ${ends.join('; ')}`];
}

/** What a task has stored that did not win. */
function strayResults({ folder }: AuditedInstallation, pairs: LedgerEntry[][]): string[] {
  const strays: string[] = [];
  for (const pair of pairs) {
    const won = pair.filter(({ told }) => told.completed > 0).map(({ key }) => key);
    for (const { id, key } of pair)
      if (!won.includes(key) && existsSync(join(folder, key!)))
        strays.push(`"${id}" did not win, but has stored ${key}`);
  }
  return strays;
}

async function inputsOf(installation: AuditedInstallation, kinds: TaskKind[]): Promise<Buffer> {
  const keys = [...new Set(kinds.map(({ input }) => input))];
  return Buffer.concat(await Promise.all(keys.map((key) => installation.read(key))));
}
