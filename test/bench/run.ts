/**
 * What `npm run bench` runs: every benchmark with its peer or baseline in the same run, as a table and, with
 * `--json`, as JSON. The machine should have nothing else to do.
 */
import { parseArgs } from 'node:util';
import { findBroker } from '../../runtime/cli/broker.ts';
import { EXIT } from '../../runtime/cli/exit-codes.ts';
import { note, print, printJson, printTable } from '../../runtime/cli/terminal.ts';
import { UserError } from '../../runtime/errors.ts';
import { machineText } from '../support/machine.ts';
import { runScript } from '../support/run-command.ts';
import { directUrl } from './direct-broker.ts';
import { benchFilters } from './filters.ts';
import { benchGrowth } from './growth.ts';
import { benchLayouts } from './layouts.ts';
import { benchMemory } from './memory.ts';
import { benchNoop } from './noop.ts';
import { benchOneCpu } from './one-cpu.ts';
import type { Bench, BenchmarkRow } from './row.ts';
import { benchStartup } from './startup.ts';
import { benchSteps } from './steps.ts';
import { benchThroughput } from './throughput.ts';

interface Benchmark {
  measure(bench: Bench): Promise<BenchmarkRow[]>;
  about: string;
}

const BENCHMARKS: Record<string, Benchmark> = {
  startup: { measure: benchStartup, about: 'a worker from its start until it consumes, by slots' },
  memory: { measure: benchMemory, about: 'memory of a worker, idle and at its highest, by slots' },
  noop: { measure: benchNoop, about: 'tasks without work, and the CPU time of a worker’s parent' },
  throughput: {
    measure: benchThroughput,
    about: 'images/s on all cores against a bare loop, BullMQ, Celery',
  },
  'one-cpu': {
    measure: benchOneCpu,
    about: 'images/s of one worker on one CPU, by folder and distant S3, by slots',
  },
  steps: { measure: benchSteps, about: 'CPU time and storage requests of steps, carried and hopped' },
  layouts: { measure: benchLayouts, about: 'one worker with several slots, or several workers' },
  growth: { measure: benchGrowth, about: 'cost by number of steps, size of image, length of queue' },
  filters: { measure: benchFilters, about: 'CPU time of each filter against Pillow or OpenCV' },
};

const HELP = `npm run bench [-- --only NAME,…] [--quick] [--json]

Benchmarks (default: all):
${Object.entries(BENCHMARKS)
  .map(([name, { about }]) => `  ${name.padEnd(12)}${about}`)
  .join('\n')}

  --quick  one round of little work: shows that all runs; its figures do not count
  --json   the rows as JSON

A ratio is ours ÷ theirs. Only for the times of filters it is theirs ÷ ours: above 1 is faster than the peer.
A peer that is not installed here is named as SKIPPED in the table: apt-get install redis-server python3-celery
python3-redis python3-pil python3-opencv brings all of them.

Example:
  $ npm run bench -- --only throughput,startup`;

const ROUNDS = 5;
const QUICK_SHARE = 0.1;

process.exitCode = await runScript(main);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      json: { type: 'boolean' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  if (values.help) console.log(HELP);
  else await measure(values.only?.split(',') ?? Object.keys(BENCHMARKS), values.quick, values.json === true);
  return EXIT.ok;
}

async function measure(wanted: string[], isQuick: boolean, json: boolean): Promise<void> {
  const unknown = wanted.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined)
    throw new UserError(
      `There is no benchmark "${unknown}". There are ${Object.keys(BENCHMARKS).join(', ')}.`,
    );
  await using broker = await findBroker({ onProgress: note, allowInstall: true });
  const bench: Bench = {
    amqpUrl: await directUrl(broker.amqpUrl),
    rounds: isQuick ? 1 : ROUNDS,
    count: (full) => (isQuick ? Math.ceil(full * QUICK_SHARE) : full),
  };
  const rows: BenchmarkRow[] = [];
  for (const name of wanted) {
    note(`measuring ${name} …`);
    rows.push(...(await BENCHMARKS[name]!.measure(bench)));
  }
  const machine = `${machineText()}, RabbitMQ ${broker.version ?? '(yours)'}`;
  if (json) printJson({ machine, time: new Date().toISOString(), quick: isQuick, rows });
  else printRows(rows, machine, isQuick);
}

function printRows(rows: BenchmarkRow[], machine: string, isQuick: boolean): void {
  printTable(
    ['benchmark', 'ours', 'theirs', 'ratio', 'goal', 'against'],
    rows.map(({ name, unit, ours, theirs, ratio, goal, met, against, note }) => [
      name,
      ours === undefined ? '' : `${round(ours)} ${unit}`,
      theirs === undefined ? '' : `${round(theirs)} ${unit}`,
      ratio === undefined ? '' : round(ratio),
      goal === undefined ? '' : `${goal} ${markOf(met)}`,
      [against, note].filter((text) => text !== undefined).join('; '),
    ]),
  );
  const goals = rows.filter(({ goal }) => goal !== undefined);
  const count = (wanted: boolean | undefined) => goals.filter(({ met }) => met === wanted).length;
  print(`goals: ${count(true)} met, ${count(false)} missed, ${count(undefined)} not measured`);
  print(`${machine}${isQuick ? '; a quick look: these figures do not count' : ''}`);
}

function markOf(met: boolean | undefined): string {
  if (met === undefined) return '–';
  return met ? '✓' : '✗';
}

function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
