/** The summary: one row per scenario and broker, then the machine. */
import { note, print, printTable } from '../../../runtime/cli/terminal.ts';
import { machineText } from '../../support/machine.ts';
import type { Figures, ScenarioOutcome } from './scenario.ts';

const COLUMNS: Record<keyof Figures, string> = {
  submitted: 'Submitted',
  results: 'Results',
  deadLetters: 'Dead letters',
  duplicates: 'Duplicates',
  lost: 'Lost',
  unexplained: 'Unexplained',
  wrong: 'Wrong bytes',
  kills: 'Kills',
};

export interface Row extends ScenarioOutcome {
  scenario: string;
  /** RabbitMQ's own version. */
  rabbitmq: string;
  seconds: number;
}

export function passed({ lost, unexplained, wrong, faults }: ScenarioOutcome): boolean {
  return lost + unexplained + wrong + faults.length === 0;
}

/** @param options what workers and choices it was */
export function printReport(rows: Row[], options: { seed: number; slots: number; carry: string }): void {
  printTable(
    ['Scenario', 'RabbitMQ', ...Object.values(COLUMNS), 'Seconds', ''],
    rows.map((row) => [
      row.scenario,
      row.rabbitmq,
      ...(Object.keys(COLUMNS) as (keyof Figures)[]).map((figure) => row[figure]),
      row.seconds.toFixed(1),
      passed(row) ? 'ok' : 'FAILED',
    ]),
  );
  print();
  for (const { scenario, rabbitmq, notes } of rows)
    for (const text of notes) print(`${scenario} (${rabbitmq}): ${text}`);
  for (const { scenario, rabbitmq, faults } of rows)
    for (const text of faults) print(`FAILED ${scenario} (${rabbitmq}): ${text}`);
  const versions = new Set(rows.map(({ rabbitmq }) => rabbitmq).filter((version) => version !== '–'));
  const { seed, slots, carry } = options;
  print(
    `\nSeed ${seed}, slots ${slots}, carry ${carry}. ${machineText()}. RabbitMQ ${[...versions].join(' and ')}.`,
  );
}

/** A line of progress, with the time since the run began. */
export function progressLine(startMs: number, text: string): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0).padStart(4);
  note(`${seconds} s  ${text}`);
}
