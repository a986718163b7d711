/** Ends workers and their children by kill -9, one after the other while the work goes on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './scenario.ts';
import type { WorkerProcesses } from './worker-processes.ts';

const LOOK_MS = 20;
const TELL_EACH = 10;

export interface KillerOptions {
  /** How many are to die. */
  victims: number;
  /** How much of the work is done, 0 to 1: after each share of it one process dies. */
  progress: () => number;
}

export class Killer {
  readonly killed = { worker: 0, child: 0 };
  readonly #workers: WorkerProcesses;
  readonly #options: KillerOptions;
  #isOver = false;
  #done = Promise.resolve();

  constructor(workers: WorkerProcesses, options: KillerOptions) {
    this.#workers = workers;
    this.#options = options;
  }

  get count(): number {
    return this.killed.worker + this.killed.child;
  }

  start(stage: Stage): void {
    this.#done = this.#killAll(stage);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  async #killAll({ random, say }: Stage): Promise<void> {
    const { victims, progress } = this.#options;
    for (; !this.#isOver && this.count < victims; await sleep(LOOK_MS)) {
      if (progress() < (this.count + 1) / (victims + 1)) continue;
      const what = random.pick(['worker', 'child'] as const);
      if (!(await this.#workers.killOne(random, what))) continue;
      this.killed[what]++;
      if (this.count % TELL_EACH === 0)
        say(
          `${this.count}/${victims} processes killed, ${(100 * progress()).toFixed(0)} % of the steps done`,
        );
    }
  }
}
