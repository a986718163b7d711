/** What a terminal of so many columns and rows shows of what was written to it: just enough of one for tests. */
import stringWidth from 'string-width';

const ESCAPE = '\x1b';
const PARTS = new RegExp(`${ESCAPE}\\[(\\d*)([A-Za-z])|\r|\n|[^${ESCAPE}\r\n]`, 'gu');

export class Screen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  /** All that was written. */
  written = '';
  #lines: string[] = [''];
  #row = 0;
  #column = 0;

  constructor(columns = 80, rows = 24) {
    this.columns = columns;
    this.rows = rows;
  }

  /** The visible lines from the top, without the empty ones at the end. */
  get lines(): string[] {
    const shown = this.#lines.slice(-this.rows);
    return shown
      .slice(0, shown.findLastIndex((line) => line.trim() !== '') + 1)
      .map((line) => line.trimEnd());
  }

  write(text: string): boolean {
    this.written += text;
    for (const [part, count, command] of text.matchAll(PARTS)) {
      if (command === 'A') this.#row = Math.max(this.#top, this.#row - Number(count || 1));
      else if (command === 'J') this.#eraseBelow();
      else if (command === undefined) this.#put(part);
    }
    return true;
  }

  hasColors(): boolean {
    return false;
  }

  /** Nothing above is reachable: it has scrolled away. */
  get #top(): number {
    return Math.max(0, this.#lines.length - this.rows);
  }

  #put(part: string): void {
    if (part === '\r') this.#column = 0;
    else if (part === '\n') this.#nextLine();
    else {
      const width = stringWidth(part);
      if (this.#column + width > this.columns) this.#nextLine();
      const line = this.#lines[this.#row] ?? '';
      this.#lines[this.#row] = line.slice(0, this.#column).padEnd(this.#column) + part;
      this.#column += width;
    }
  }

  #nextLine(): void {
    this.#row++;
    this.#column = 0;
    if (this.#row === this.#lines.length) this.#lines.push('');
  }

  #eraseBelow(): void {
    this.#lines[this.#row] = (this.#lines[this.#row] ?? '').slice(0, this.#column);
    this.#lines.length = this.#row + 1;
  }
}
