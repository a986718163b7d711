/** When a process has to stop: at a signal, at the death of the process that started it, or because it cannot work. */
import { onParentDeath } from './parent-death.ts';

/** One Ctrl-C under npm arrives twice, from the terminal and from npm: so close together they are one. */
const SAME_SIGNAL_MS = 500;
const ORPHAN_TIMEOUT_MS = 500;

export class StopSignal {
  readonly #requested = Promise.withResolvers<void>();
  readonly #repeated = Promise.withResolvers<NodeJS.Signals>();
  readonly #abort = new AbortController();
  #firstMs = 0;
  #reason: string | undefined;

  /** @param parentPid stops with this process */
  constructor(signals: readonly NodeJS.Signals[], parentPid?: number) {
    for (const signal of signals) process.on(signal, () => this.#hear(signal));
    if (parentPid !== undefined) onParentDeath(parentPid, () => this.#orphan());
  }

  /** Resolves when the process has to stop; {@link signal} is aborted then. */
  get requested(): Promise<void> {
    return this.#requested.promise;
  }

  /** Resolves at the second Ctrl-C or SIGTERM, whose sender does not want to wait any longer, or without a parent. */
  get repeated(): Promise<NodeJS.Signals> {
    return this.#repeated.promise;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why the process stops by itself, if it does. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Stops the process because it cannot work. */
  because(reason: string): void {
    this.#reason ??= reason;
    this.#stop();
  }

  #hear(signal: NodeJS.Signals): void {
    if (!this.signal.aborted) {
      this.#firstMs = performance.now();
      this.#stop();
    } else if (signal !== 'SIGHUP' && performance.now() - this.#firstMs > SAME_SIGNAL_MS)
      this.#repeated.resolve(signal);
  }

  /** Nobody waits for an orphan: it gives back what it can in this time. */
  #orphan(): void {
    this.#stop();
    this.#repeated.resolve('SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), ORPHAN_TIMEOUT_MS).unref();
  }

  #stop(): void {
    this.#abort.abort();
    this.#requested.resolve();
  }
}
