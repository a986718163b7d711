/** Waits between attempts: doubling from 100 ms to 5 s, with jitter so that a fleet does not return in step. */

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** What lasted this long was no failed attempt; the next wait is short again. */
const STABLE_MS = 5000;
/** Doubled so often, the wait is far beyond the longest. */
const MAX_DOUBLINGS = 16;

export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The next wait in ms, given how long the attempt before it had worked. */
  next(lastedMs: number): number {
    if (lastedMs >= STABLE_MS) this.#failures = 0;
    const longestMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, MAX_DOUBLINGS);
    return longestMs * (0.5 + this.#random() / 2);
  }
}
