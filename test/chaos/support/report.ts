/** The summary: one row per scenario and broker, then the machine. */
import { cpus, totalmem } from 'node:os';
import { note, print, printTable } from '../../../runtime/cli/terminal.ts';
import type { ScenarioOutcome } from './scenario.ts';

export interface Row extends ScenarioOutcome {
  scenario: string;
  /** RabbitMQ's own version. */
  rabbitmq: string;
  seconds: number;
}

export function passed({ lost, unexplained, wrong, faults }: ScenarioOutcome): boolean {
  return lost + unexplained + wrong + faults.length === 0;
}

export function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim()}, ${memory} GiB, ${process.platform}, Node ${process.versions.node}`;
}

export function printReport(rows: Row[], seed: number): void {
  printTable(
    [
      'Scenario',
      'RabbitMQ',
      'Submitted',
      'Results',
      'Dead letters',
      'Duplicates',
      'Lost',
      'Unexplained',
      'Wrong bytes',
      'Kills',
      'Seconds',
      '',
    ],
    rows.map((row) => [
      row.scenario,
      row.rabbitmq,
      row.submitted,
      row.results,
      row.deadLetters,
      row.duplicates,
      row.lost,
      row.unexplained,
      row.wrong,
      row.kills,
      row.seconds.toFixed(1),
      passed(row) ? 'ok' : 'FAILED',
    ]),
  );
  print();
  for (const { scenario, rabbitmq, notes } of rows)
    for (const text of notes) print(`${scenario} (${rabbitmq}): ${text}`);
  for (const { scenario, rabbitmq, faults } of rows)
    for (const text of faults) print(`FAILED ${scenario} (${rabbitmq}): ${text}`);
  print(
    `\nSeed ${seed}. ${machine()}. RabbitMQ ${[...new Set(rows.map(({ rabbitmq }) => rabbitmq))].filter((version) => version !== '–').join(' and ')}.`,
  );
}

/** A line of progress, with the time since the run began. */
export function progressLine(startMs: number, text: string): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0).padStart(4);
  note(`${seconds} s  ${text}`);
}
