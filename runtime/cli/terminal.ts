/** How commands speak: JSON for programs, tables and a live line for people. */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import type { Command } from 'commander';

/** Adds `--json` and the examples that every command has. */
export function conventional(command: Command, ...examples: string[]): Command {
  const shown = examples.map((example) => `  $ ${example}`).join('\n');
  return command.option('--json', 'print JSON for programs').addHelpText('after', `\nExample:\n${shown}`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function print(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** For people who wait: on standard error, so that standard output stays clean. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A table that fits logs and terminals alike. */
export function printTable(head: string[], rows: (string | number)[][]): void {
  const table = new Table({ head: head.map(bold), style: { head: [], border: [] }, chars: PLAIN_BORDERS });
  table.push(...rows.map((row) => row.map(String)));
  print(table.toString());
}

const PLAIN_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export function bold(text: string): string {
  return styleText('bold', text);
}

export function dim(text: string): string {
  return styleText('dim', text);
}

export function green(text: string): string {
  return styleText('green', text);
}

export function red(text: string): string {
  return styleText('red', text);
}

export function yellow(text: string): string {
  return styleText('yellow', text);
}

export interface Progress {
  update(done: number, text?: string): void;
  stop(): void;
}

const BAR_CHARACTERS = 24;
const PLAIN_STEP_MS = 2_000;

/** A progress bar on standard error; where that is no terminal, a line every two seconds. */
export function progress(total: number, what: string): Progress {
  const tty = process.stderr.isTTY;
  let lastMs = 0;
  return {
    update(done, text = '') {
      const nowMs = performance.now();
      if (!tty && nowMs - lastMs < PLAIN_STEP_MS && done < total) return;
      lastMs = nowMs;
      const filled = Math.round((BAR_CHARACTERS * done) / Math.max(1, total));
      const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_CHARACTERS - filled)}`;
      if (tty) process.stderr.write(`\r\x1b[K${bar} ${done}/${total} ${what} ${dim(text)}`);
      else note(`${done}/${total} ${what} ${text}`.trimEnd());
    },
    stop() {
      if (tty) process.stderr.write('\r\x1b[K');
    },
  };
}
