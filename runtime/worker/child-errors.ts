/** What a child writes to standard error, on its way to the log: without secrets, and no more than a log bears. */
import { capText } from '../redact.ts';

/** So that what belongs together is seen together: half a secret would not be recognised. */
const COLLECT_MS = 100;
const PAUSE_MS = 1_000;
const COLLECTED_CHARACTERS = 65_536;
const LOGGED_CHARACTERS = 4_096;

/** @param leftOut characters that were not kept */
type Tell = (text: string, leftOut: number) => void;

export class ChildErrors {
  readonly #tell: Tell;
  #text = '';
  #leftOut = 0;
  #nextMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  take(text: string): void {
    const kept = text.slice(0, COLLECTED_CHARACTERS - this.#text.length);
    this.#text += kept;
    this.#leftOut += text.length - kept.length;
    this.#timer ??= setTimeout(() => this.flush(), Math.max(COLLECT_MS, this.#nextMs - performance.now()));
  }

  /** Tells what is there, at the latest when the child has ended. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#nextMs = performance.now() + PAUSE_MS;
    // The last word of a text that was cut may be half a secret.
    const lastSpace = Math.max(this.#text.lastIndexOf(' '), this.#text.lastIndexOf('\n'), 0);
    const text = (this.#leftOut === 0 ? this.#text : this.#text.slice(0, lastSpace)).trim();
    if (text !== '' || this.#leftOut > 0) this.#tell(capText(text, LOGGED_CHARACTERS), this.#leftOut);
    this.#text = '';
    this.#leftOut = 0;
  }
}
