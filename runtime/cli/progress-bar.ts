/** How far a long command is: a bar on a terminal, a line every two seconds elsewhere. */
import { dim, escapeControls, LiveView } from './terminal.ts';

const BAR_CHARACTERS = 24;

export class ProgressBar {
  readonly #view = new LiveView(process.stderr);
  readonly #total: number;
  readonly #what: string;

  /** @param total 0 when it is not known beforehand */
  constructor(total: number, what: string) {
    this.#total = total;
    this.#what = what;
  }

  /** What cannot be shown must not stop what is done. */
  update(done: number, about = ''): void {
    try {
      this.#show(done, about);
    } catch {}
  }

  stop(): void {
    try {
      this.#view.clear();
    } catch {}
  }

  #show(done: number, about: string): void {
    const counted = `${this.#total > 0 ? `${done}/${this.#total}` : done} ${this.#what}`;
    const detail = escapeControls(about);
    this.#view.show(`${this.#bar(done)} ${counted} ${dim(detail)}`);
    this.#view.tell(() => `${counted} ${detail}`.trimEnd(), this.#total > 0 && done >= this.#total);
  }

  #bar(done: number): string {
    const share = this.#total > 0 ? Math.max(0, Math.min(1, done / this.#total)) : 0;
    const filled = Math.round(BAR_CHARACTERS * share);
    return '█'.repeat(filled) + '░'.repeat(BAR_CHARACTERS - filled);
  }
}
