/**
 * The laptop autoscaler: runs the scaling model against a real broker and starts and stops real worker
 * processes, as KEDA, the HPA and the kubelet do on a cluster.
 */
import {
  type ScaledFunction,
  ScaledWorkers,
  type ScaledWorkersOptions,
  type WorkersView,
} from './scaled-workers.ts';

/** How often it looks whether a poll or a sync is due. */
export const LOOP_MS = 250;

export interface AutoscalerOptions extends ScaledWorkersOptions {
  functions: readonly ScaledFunction[];
  /** The model's clock runs so many times faster: 10 makes a 300 s cooldown last 30 s. Default 1. */
  speed?: number;
}

export class Autoscaler {
  readonly #workers: ScaledWorkers[];
  readonly #loops: Promise<unknown>;
  #isStopping = false;

  /** Scales from now on, until {@link stop}. */
  constructor(options: AutoscalerOptions) {
    const startedMs = Date.now();
    const { functions, speed = 1 } = options;
    const clockMs = () => startedMs + (Date.now() - startedMs) * speed;
    this.#workers = functions.map((scaled) => new ScaledWorkers(scaled, options, clockMs));
    this.#loops = Promise.all(this.#workers.map((workers) => this.#loop(workers)));
  }

  view(): WorkersView[] {
    return this.#workers.map((workers) => workers.view());
  }

  /** Every busy worker finishes its task; resolves when all processes are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#loops;
    await Promise.all(this.#workers.map((workers) => workers.endAll()));
  }

  async #loop(workers: ScaledWorkers): Promise<void> {
    while (!this.#isStopping) {
      await workers.decide();
      if (!this.#isStopping) await workers.follow();
      await new Promise((resolve) => setTimeout(resolve, LOOP_MS));
    }
  }
}
