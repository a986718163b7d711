/** When a worker has to stop: at SIGTERM or SIGINT, or because it cannot work. */

/** One Ctrl-C under npm arrives twice, from the terminal and from npm: so close together they are one. */
const SAME_SIGNAL_MS = 500;

export class StopSignal {
  readonly #requested = Promise.withResolvers<void>();
  readonly #repeated = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  #firstMs = 0;
  #reason: string | undefined;

  constructor() {
    process.on('SIGTERM', () => this.#hear());
    process.on('SIGINT', () => this.#hear());
  }

  /** Resolves when the worker has to stop; {@link signal} is aborted then. */
  get requested(): Promise<void> {
    return this.#requested.promise;
  }

  /** Resolves at the second signal. */
  get repeated(): Promise<void> {
    return this.#repeated.promise;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why the worker stops by itself, if it does. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Stops the worker because it cannot work. */
  because(reason: string): void {
    this.#reason ??= reason;
    this.#stop();
  }

  #hear(): void {
    if (!this.signal.aborted) {
      this.#firstMs = performance.now();
      this.#stop();
    } else if (performance.now() - this.#firstMs > SAME_SIGNAL_MS) this.#repeated.resolve();
  }

  #stop(): void {
    this.#abort.abort();
    this.#requested.resolve();
  }
}
