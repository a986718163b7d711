/** When to stop: signals and deadlines. */
import { StopSignal } from '../worker/stop-signal.ts';

/** Resolves at the first Ctrl-C, SIGTERM or end of the terminal. A second Ctrl-C or SIGTERM ends the process at once. */
export function stopRequested(): Promise<void> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = new StopSignal(signals);
  void stop.repeated.then((signal) => {
    for (const handled of signals) process.removeAllListeners(handled);
    process.kill(process.pid, signal);
  });
  return stop.requested;
}

/** Aborts with `reason` after a time, without keeping the process alive for it. */
export function abortAfter(ms: number, reason: Error): AbortSignal {
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), ms).unref();
  return abort.signal;
}
