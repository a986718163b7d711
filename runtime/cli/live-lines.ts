/**
 * Lines at the bottom of a terminal that are drawn over and over.
 *
 * No library does this here: those that exist install signal handlers to restore the cursor, and end the process
 * before it has drained. These lines leave the cursor visible, so that there is nothing to restore.
 */
import type { WriteStream } from 'node:tty';
import { displayWidth, toAnsi, truncate } from './terminal-text.ts';

const FALLBACK_COLUMNS = 80;
const FALLBACK_ROWS = 24;

export class LiveLines {
  /** Those on the screen now, which whoever prints beside them takes away first. */
  static readonly shown = new Set<LiveLines>();

  readonly #stream: WriteStream;
  readonly #colours: boolean;
  #lines: string[] = [];
  /** What stands on the screen. */
  #drawn: string[] = [];

  constructor(stream: WriteStream, colours: boolean) {
    this.#stream = stream;
    this.#colours = colours;
  }

  /** Replaces what was drawn before. The lines hold no control characters but the marks of styles. */
  draw(lines: string[]): void {
    this.#lines = lines;
    LiveLines.shown.add(this);
    this.#write(this.#fitting());
  }

  /** Takes the lines off the screen until they are drawn again. */
  clear(): void {
    this.#write([]);
  }

  redraw(): void {
    this.#write(this.#fitting());
  }

  /** Leaves the last lines on the screen. */
  end(): void {
    LiveLines.shown.delete(this);
    this.#lines = [];
    this.#drawn = [];
  }

  /** Cut to the terminal: a line that wraps, or one that scrolled away, could not be taken back. */
  #fitting(): string[] {
    const rows = (this.#stream.rows || FALLBACK_ROWS) - 1;
    return this.#lines.slice(0, rows).map((line) => truncate(line, this.#columns - 1));
  }

  #write(lines: string[]): void {
    const above = this.#drawn.reduce((sum, line) => sum + this.#rowsOf(line), 0);
    const back = above === 0 ? '' : `\x1b[${above}A\r\x1b[J`;
    const text = lines.map((line) => `${toAnsi(line, this.#colours)}\n`).join('');
    this.#drawn = lines;
    if (back + text !== '') this.#stream.write(back + text);
  }

  /** A terminal that became narrower has wrapped what stood there. */
  #rowsOf(line: string): number {
    return Math.max(1, Math.ceil(displayWidth(line) / this.#columns));
  }

  get #columns(): number {
    return this.#stream.columns || FALLBACK_COLUMNS;
  }
}
