/** When to stop: signals and deadlines. */
import { StopSignal } from '../worker/stop-signal.ts';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves at the first Ctrl-C, SIGTERM or end of the terminal. A second Ctrl-C or SIGTERM ends the process at once. */
export function stopRequested(): Promise<void> {
  const stop = new StopSignal(ENDING);
  void stop.repeated.then(dieOf);
  return stop.requested;
}

/** Aborts when {@link stopRequested} resolves. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  void stopRequested().then(() => stop.abort());
  return stop.signal;
}

/** What a signal that ends this process has to clean up first. */
const cleanUps = new Set<() => void>();
let stopListening = () => {};

/** While `work` runs, a signal that ends this process calls `cleanUp` first. */
export async function withCleanUp(work: () => Promise<void>, cleanUp: () => void): Promise<void> {
  if (cleanUps.size === 0) stopListening = listen();
  cleanUps.add(cleanUp);
  try {
    await work();
  } finally {
    cleanUps.delete(cleanUp);
    if (cleanUps.size === 0) stopListening();
  }
}

function listen(): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    for (const cleanUp of cleanUps) cleanUp();
    dieOf(signal);
  };
  // Whoever listens already decides when the process ends.
  const signals = ENDING.filter((signal) => process.listenerCount(signal) === 0);
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

/** Ends as if nobody had listened: shells tell from that that it was interrupted. */
function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/** Aborts with `reason` after a time, without keeping the process alive for it. */
export function abortAfter(ms: number, reason: Error): AbortSignal {
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), ms).unref();
  return abort.signal;
}
