/** What commands print: JSON for programs; lines, tables and a live view for people. All of it is harmless. */
import { LiveLines } from './live-lines.ts';
import { tableLines } from './terminal-table.ts';
import { escapeControls, isMark, toAnsi } from './terminal-text.ts';

export { bold, dim, escapeControls, green, red, yellow } from './terminal-text.ts';

/** The width of tables where there is no terminal, unless COLUMNS says another. */
const DEFAULT_COLUMNS = 80;
const PLAIN_VIEW_MS = 2_000;

/** As a shell says of a program that wrote to a pipe which nobody reads. */
const BROKEN_PIPE = 141;

type Output = NodeJS.WriteStream;

for (const output of [process.stdout, process.stderr]) output.on('error', endWithReader);

export function print(text = ''): void {
  write(process.stdout, escapeControls(text, isComposed));
}

/** For people who wait: on standard error, so that standard output stays clean. */
export function note(text: string): void {
  write(process.stderr, escapeControls(text, isComposed));
}

export function printJson(value: unknown): void {
  write(process.stdout, jsonText(value, 2));
}

/** One value on one line, for programs that read as it comes. */
export function printJsonLine(value: unknown): void {
  write(process.stdout, jsonText(value));
}

/** A table within the width of the terminal; long cells end in an ellipsis. */
export function printTable(head: string[], rows: (string | number)[][]): void {
  const cells = rows.map((row) => row.map((cell) => escapeControls(String(cell), isMark)));
  write(process.stdout, tableLines(head, cells, columnsOf(process.stdout)).join('\n'));
}

/** Lines that are drawn over one another on a terminal, and now and then a line of text where there is none. */
export class LiveView {
  readonly #output: Output;
  readonly #lines: LiveLines | undefined;
  #plainMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output = process.stderr) {
    this.#output = output;
    this.#lines = output.isTTY ? new LiveLines(output, hasColours(output)) : undefined;
  }

  show(text: string): void {
    this.#lines?.draw(escapeControls(text, isComposed).split('\n'));
  }

  /** Where there is no terminal: writes a text, unless it wrote one less than two seconds ago. */
  tell(text: () => string, isLast = false): void {
    const nowMs = performance.now();
    if (this.#lines !== undefined || (nowMs - this.#plainMs < PLAIN_VIEW_MS && !isLast)) return;
    this.#plainMs = nowMs;
    write(this.#output, escapeControls(text(), isComposed));
  }

  /** Takes the lines away. */
  clear(): void {
    this.#lines?.clear();
    this.#lines?.end();
  }

  /** Leaves the last lines where they are. */
  end(): void {
    this.#lines?.end();
  }
}

/** Whether to write colours: on a terminal that has them, unless NO_COLOR is set (https://no-color.org). */
function hasColours(output: Output): boolean {
  return output.isTTY === true && !process.env.NO_COLOR && output.hasColors();
}

function columnsOf(output: Output): number {
  return output.columns || Number(process.env.COLUMNS) || DEFAULT_COLUMNS;
}

/** A pager was left, or a window closed. A command that has something in hand ends as at the end of its terminal. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  if (!process.emit('SIGHUP', 'SIGHUP')) process.exit(BROKEN_PIPE);
}

function write(output: Output, text: string): void {
  const live = [...LiveLines.shown];
  for (const lines of live) lines.clear();
  output.write(`${toAnsi(text, hasColours(output))}\n`);
  for (const lines of live) lines.redraw();
}

/** JSON means the same when its control characters are written as escapes: C0 by JSON itself, C1 and the rest here. */
export function jsonText(value: unknown, indent?: number): string {
  return escapeControls(JSON.stringify(value, null, indent), (character) => character === '\n');
}

/** Line breaks and styles are meant in a text that Darkroom composed. */
function isComposed(character: string): boolean {
  return character === '\n' || isMark(character);
}
