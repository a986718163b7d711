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
import { benchFilters } from './filters.ts';
import { benchMemory } from './memory.ts';
import { benchNoop } from './noop.ts';
import type { BenchmarkRow } from './row.ts';
import { benchStartup } from './startup.ts';
import { benchThroughput } from './throughput.ts';

const HELP = `npm run bench [-- --only NAME,…] [--json]

Benchmarks: throughput, noop, startup, memory, filters (default: all).
Ratios are ours ÷ theirs for rates, theirs ÷ ours for times: above 1 is faster than the peer.

Example:
  $ npm run bench -- --only throughput,startup`;

const BENCHMARKS: Record<string, (amqpUrl: string) => Promise<BenchmarkRow[]>> = {
  startup: benchStartup,
  memory: benchMemory,
  noop: benchNoop,
  throughput: benchThroughput,
  filters: () => benchFilters(),
};

process.exitCode = await runScript(main);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) console.log(HELP);
  else await measure(values.only?.split(',') ?? Object.keys(BENCHMARKS), values.json === true);
  return EXIT.ok;
}

async function measure(wanted: string[], json: boolean): Promise<void> {
  const unknown = wanted.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined)
    throw new UserError(
      `There is no benchmark "${unknown}". There are ${Object.keys(BENCHMARKS).join(', ')}.`,
    );
  await using broker = await findBroker({ onProgress: note, allowInstall: true });
  const rows: BenchmarkRow[] = [];
  for (const name of wanted) {
    note(`measuring ${name} …`);
    rows.push(...(await BENCHMARKS[name]!(broker.amqpUrl)));
  }
  const machine = `${machineText()}, RabbitMQ ${broker.version ?? '(yours)'}`;
  if (json) printJson({ machine, time: new Date().toISOString(), rows });
  else printRows(rows, machine);
}

function printRows(rows: BenchmarkRow[], machine: string): void {
  printTable(
    ['benchmark', 'ours', 'theirs', 'ratio', 'goal', 'against'],
    rows.map(({ name, unit, ours, theirs, ratio, goal, met, against, note }) => [
      name,
      `${round(ours)} ${unit}`,
      theirs === undefined ? '' : `${round(theirs)} ${unit}`,
      ratio === undefined ? '' : round(ratio),
      goal === undefined ? '' : `${goal} ${met ? '✓' : '✗'}`,
      `${against ?? ''}${note === undefined ? '' : ` (${note})`}`,
    ]),
  );
  print(machine);
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
