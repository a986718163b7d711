/** Waits that last until the model lets them end. */

type Wait = () => Promise<void>;

let wait: Wait = () => Promise.resolve();

/** What a wait is from now on. */
export function waitBy(next: Wait): void {
  wait = next;
}

/** In place of `setTimeout` of node:timers/promises. */
export function setTimeout(): Promise<void> {
  return wait();
}
