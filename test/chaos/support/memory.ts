/** Watches how large the workers' processes grow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../../support/process-facts.ts';
import type { WorkerProcesses } from './worker-processes.ts';

const LOOK_MS = 250;

export interface MemoryPeaks {
  parentBytes: number;
  childBytes: number;
  /** The most that a parent grew since it was first looked at. */
  parentGrowthBytes: number;
}

export class MemoryWatch {
  readonly #workers: WorkerProcesses;
  readonly #first = new Map<number, number>();
  readonly #peaks: MemoryPeaks = { parentBytes: 0, childBytes: 0, parentGrowthBytes: 0 };
  readonly #done: Promise<void>;
  #isOver = false;

  constructor(workers: WorkerProcesses) {
    this.#workers = workers;
    this.#done = this.#watch();
  }

  async stop(): Promise<MemoryPeaks> {
    this.#isOver = true;
    await this.#done;
    return this.#peaks;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      await Promise.all(
        this.#workers.current.map(async (worker) => {
          await this.#lookAtParent(worker.pid);
          for (const pid of await worker.childPids())
            this.#peaks.childBytes = Math.max(this.#peaks.childBytes, (await residentBytes(pid)) ?? 0);
        }),
      );
      await sleep(LOOK_MS);
    }
  }

  async #lookAtParent(pid: number): Promise<void> {
    const bytes = (await residentBytes(pid)) ?? 0;
    const first = this.#first.get(pid) ?? bytes;
    this.#first.set(pid, first);
    this.#peaks.parentBytes = Math.max(this.#peaks.parentBytes, bytes);
    this.#peaks.parentGrowthBytes = Math.max(this.#peaks.parentGrowthBytes, bytes - first);
  }
}
