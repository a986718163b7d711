/** Files that broke image libraries before, and files broken on purpose: each ends as a result or a clear dead letter. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskEventMessage } from '../../support/task-events.ts';
import { letterTypes } from '../support/audit.ts';
import { type AuditedInstallation, openAuditedInstallation } from '../support/audited-installation.ts';
import { CORPORA, type Corpus, corpusFiles } from '../support/corpora.ts';
import { MemoryWatch } from '../support/memory.ts';
import { mutate, seedFiles } from '../support/mutator.ts';
import { addOutcomes, type Scenario, type ScenarioOutcome, type Stage } from '../support/scenario.ts';

const WORKERS = 3;
const OPEN_MAX = 200;
const TASK_TIMEOUT_MS = 8_000;
/** How far past its limit a task may run. */
const OVERRUN_MS = 1_000;
const MEBIBYTE = 1_048_576;
const CHILD_MAX_MEMORY_MIB = 768;
/** The child is watched five times a second, and may grow a little until it is stopped. */
const CHILD_LIMIT_MIB = 1_100;
const PARENT_LIMIT_MIB = 300;

interface HostileFile {
  name: string;
  bytes: Buffer;
}

export const hostile: Scenario = {
  name: 'hostile',
  shows: 'files of Debian’s image test packages, and mutated ones of every format',
  run,
};

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const { choose, random, say } = stage;
  const known = await corpora(stage);
  const seeds = await seedFiles(random);
  const mutated = Array.from({ length: choose(400, 10_000) }, (_, n) => {
    const seed = random.pick(seeds);
    return () => Promise.resolve({ name: `mutated-${n}.${seed.name}`, bytes: mutate(seed, random) });
  });
  say(`${known.files.length} files of test packages, ${mutated.length} mutated files`);
  const strict = await feed(stage, 'as shipped', [...known.files, ...mutated], {});
  const svgs = known.files.filter((_, index) => known.paths[index]!.endsWith('.svg'));
  const withSvg = await feed(stage, 'with SVG allowed', svgs, { ALLOW_SVG: 'true' });
  const outcome = addOutcomes([strict, withSvg]);
  outcome.notes.unshift(...known.notes);
  return outcome;
}

type Load = () => Promise<HostileFile>;

async function corpora({ choose, random, say }: Stage) {
  const names = choose<Corpus[]>(['gdk-pixbuf-tests', 'librsvg2-tests'], Object.keys(CORPORA) as Corpus[]);
  const paths: string[] = [];
  const notes: string[] = [];
  for (const name of names) {
    const files = await corpusFiles(name, say);
    notes.push(files === undefined ? `${name}: CANNOT BE HAD HERE` : `${name}: ${files.length} files`);
    paths.push(...(files ?? []));
  }
  const chosen = choose(random.shuffle(paths).slice(0, 200), paths);
  const files: Load[] = chosen.map((path) => async () => ({
    name: basename(path),
    bytes: await readFile(path),
  }));
  return { files, paths: chosen, notes };
}

/** Each file goes through a resize, a few hundred at a time. */
async function feed(
  { node, say }: Stage,
  words: string,
  files: Load[],
  extra: NodeJS.ProcessEnv,
): Promise<ScenarioOutcome> {
  const env = {
    RETRY_DELAYS: '50ms',
    TASK_TIMEOUT: `${TASK_TIMEOUT_MS}ms`,
    CHILD_MAX_MEMORY: `${CHILD_MAX_MEMORY_MIB}MiB`,
    ...extra,
  };
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env });
  const workers = installation.supervise(Array.from({ length: WORKERS }, () => ({ filters: ['resize'] })));
  await workers.ready();
  const stories = await Promise.all(
    ['started', 'retrying', 'completed', 'failed'].map((type) => installation.follow(type)),
  );
  const memory = new MemoryWatch(workers);
  for (const [index, load] of files.entries()) {
    await submitFile(installation, index, await load());
    while (installation.ledger.open > OPEN_MAX) await sleep(20);
    if (index % 500 === 499) say(`${words}: ${index + 1}/${files.length} files`);
  }
  await installation.settled();
  const { parentBytes, childBytes } = await memory.stop();
  const outcome = await installation.finish(workers);
  const longestMs = longest(stories.flat());
  const mebibytes = (bytes: number) => Math.round(bytes / MEBIBYTE);
  outcome.notes.push(
    `${words}: ${outcome.results} results, ${outcome.deadLetters} dead letters (${letterTypes(installation.ledger)})`,
    `${words}: slowest try ${(longestMs / 1_000).toFixed(1)} s; at most ${mebibytes(parentBytes)} MiB in a parent, ${mebibytes(childBytes)} MiB in a child; no parent died`,
  );
  if (longestMs > TASK_TIMEOUT_MS + OVERRUN_MS)
    outcome.faults.push(
      `a try took ${Math.round(longestMs)} ms; expected at most ${TASK_TIMEOUT_MS + OVERRUN_MS}`,
    );
  if (mebibytes(childBytes) > CHILD_LIMIT_MIB)
    outcome.faults.push(`a child grew to ${mebibytes(childBytes)} MiB`);
  if (mebibytes(parentBytes) > PARENT_LIMIT_MIB)
    outcome.faults.push(`a parent grew to ${mebibytes(parentBytes)} MiB`);
  return outcome;
}

async function submitFile(
  installation: AuditedInstallation,
  index: number,
  { name, bytes }: HostileFile,
): Promise<void> {
  const id = `file-${index}`;
  const input = `inputs/${index % 100}/${index}`;
  await installation.put(input, bytes);
  const steps = [{ filter: 'resize', params: { width: 16, height: 12 } }];
  await installation.submit([
    {
      id,
      expect: 'either',
      task: { id, input, steps, output: { key: `out/${index % 100}/${index}.png`, format: 'png' } },
      properties: { headers: { 'x-file': name } },
    },
  ]);
}

/** The longest time from a try's start to what came of it, by Darkroom's own events. */
function longest(events: TaskEventMessage[]): number {
  const byTask = Map.groupBy(events, ({ subject }) => subject);
  let longestMs = 0;
  for (const story of byTask.values()) {
    const told = story.map(({ type, time }) => ({
      isStart: type === 'darkroom.task.started',
      ms: Date.parse(time),
    }));
    told.sort((a, b) => a.ms - b.ms);
    for (const [n, { isStart, ms }] of told.entries())
      if (isStart && n + 1 < told.length) longestMs = Math.max(longestMs, told[n + 1]!.ms - ms);
  }
  return longestMs;
}
