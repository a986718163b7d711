/** Waits between attempts: doubling from 100 ms to 5 s, with jitter so that a fleet does not return in step. */

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** What lasted this long was no failed attempt; the next wait is short again. */
const STABLE_MS = 5000;

export interface Backoff {
  /** The next wait in ms, given how long the attempt before it had worked. */
  next(lastedMs: number): number;
}

export function createBackoff(random: () => number = Math.random): Backoff {
  let failures = 0;
  return {
    next(lastedMs) {
      if (lastedMs >= STABLE_MS) failures = 0;
      const ceiling = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
      failures = Math.min(failures + 1, 16);
      return ceiling * (0.5 + random() / 2);
    },
  };
}
