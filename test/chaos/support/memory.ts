/** Watches how large the workers' processes grow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../../support/process-facts.ts';
import type { WorkerProcesses } from './worker-processes.ts';

export interface Peaks {
  parentBytes: number;
  childBytes: number;
}

const LOOK_MS = 250;

export function watchMemory(workers: WorkerProcesses): { stop(): Promise<Peaks> } {
  const peaks: Peaks = { parentBytes: 0, childBytes: 0 };
  let watching = true;
  const done = watch();

  async function watch() {
    while (watching) {
      const children = (await Promise.all(workers.current.map((worker) => worker.childPids()))).flat();
      peaks.parentBytes = Math.max(peaks.parentBytes, await largest(workers.current.map(({ pid }) => pid)));
      peaks.childBytes = Math.max(peaks.childBytes, await largest(children));
      await sleep(LOOK_MS);
    }
  }

  return {
    async stop() {
      watching = false;
      await done;
      return peaks;
    },
  };
}

async function largest(pids: number[]): Promise<number> {
  const sizes = await Promise.all(pids.map(residentBytes));
  return Math.max(0, ...sizes.map((bytes) => bytes ?? 0));
}
