/** What `npm run structure` runs: measures the tree against its goals, and shows the walk of one task through it. */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findBroker } from '../../runtime/cli/broker.ts';
import { EXIT } from '../../runtime/cli/exit-codes.ts';
import { runScript } from '../support/run-command.ts';
import { checkSources, checkWalk, type GoalResult, isFailed } from './goals.ts';
import { roomOf } from './rooms.ts';
import { type SourceSummary, summarizeSource } from './source-summary.ts';
import { type WalkStep, walkOfOneTask } from './walk.ts';

const HELP = `npm run structure [-- --no-walk] [--json]

Measures the TypeScript of this repository against the goals of its structure, and traces one task from its delivery
to its ack through a real worker and RabbitMQ (at AMQP_URL, or one that it starts). Exit code 1: a goal is missed, or
the bound that is held until it is reached.

  --no-walk   leave the trace out: needs no RabbitMQ
  --json      print JSON

Example:
  $ npm run structure -- --no-walk`;

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** AssemblyScript only looks like TypeScript; fixtures are broken on purpose. */
const LEFT_OUT = /\.as\.ts$|^test\/fixtures\//;

process.exitCode = await runScript(main);

async function main(): Promise<number> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      walk: { type: 'boolean', default: true },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    console.log(HELP);
    return EXIT.ok;
  }
  const walk = values.walk ? await traceWalk() : [];
  const results = [...checkSources(await readSources()), ...(values.walk ? checkWalk(walk) : [])];
  console.log(values.json ? JSON.stringify({ goals: results, walk }, null, 2) : inText(results, walk));
  return results.some(isFailed) ? EXIT.failed : EXIT.ok;
}

async function readSources(): Promise<SourceSummary[]> {
  const found = await Array.fromAsync(glob('{functions,runtime,keda,helm,test}/**/*.ts', { cwd: ROOT }));
  const paths = found.map((path) => path.replaceAll('\\', '/')).filter((path) => !LEFT_OUT.test(path));
  const texts = paths
    .sort()
    .map(async (path) => summarizeSource(path, await readFile(join(ROOT, path), 'utf8')));
  return Promise.all(texts);
}

async function traceWalk(): Promise<WalkStep[]> {
  await using broker = await findBroker({ onProgress: (text) => console.error(text), allowInstall: true });
  return await walkOfOneTask(broker.amqpUrl);
}

function inText(results: GoalResult[], walk: WalkStep[]): string {
  const lines = results.map(
    ({ goal, limit, value, met, held, largest }) =>
      `${met ? '✓' : '✗'} ${goal}: ${value} (at most ${limit}${met || held === undefined ? '' : `; not reached yet, held at ${held}`})${largest === undefined ? '' : `, ${largest}`}`,
  );
  for (const { goal, over } of results.filter(({ met }) => !met))
    lines.push('', `${goal}:`, ...over.map((text) => `  ${text}`));
  if (walk.length > 0) lines.push('', ...walkInText(walk));
  return lines.join('\n');
}

/** The rooms and files that the task enters, in the order in which it first does. */
function walkInText(walk: WalkStep[]): string[] {
  const lines = ['One task from its delivery to its ack, by room, in the order first entered:'];
  for (const [room, inRoom] of Map.groupBy(walk, ({ path }) => roomOf(path))) {
    lines.push('', room);
    for (const [path, steps] of Map.groupBy(inRoom, ({ path }) => path)) {
      const { atMs, process } = steps[0]!;
      const names = [...new Set(steps.map(({ name }) => name))];
      lines.push(`  ${path} (${process}, ${atMs.toFixed(1)} ms): ${names.join(', ')}`);
    }
  }
  return lines;
}
