/** When to stop: signals and deadlines. */

/** Resolves at the first Ctrl-C, SIGTERM or end of the terminal. A second one of the same kind ends the process at once. */
export function stopRequested(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
  });
}

/** Aborts with `reason` after a time, without keeping the process alive for it. */
export function abortAfter(ms: number, reason: Error): AbortSignal {
  const abort = new AbortController();
  setTimeout(() => abort.abort(reason), ms).unref();
  return abort.signal;
}
