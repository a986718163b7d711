/** Watches how large the workers' processes grow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Crew, residentBytes } from './worker-processes.ts';

export interface Peaks {
  parentBytes: number;
  childBytes: number;
}

const LOOK_MS = 250;

export function watchMemory(crew: Crew): { stop(): Promise<Peaks> } {
  const peaks: Peaks = { parentBytes: 0, childBytes: 0 };
  let watching = true;
  const done = watch();

  async function watch() {
    while (watching) {
      const children = (await Promise.all(crew.members.map((member) => member.childPids()))).flat();
      peaks.parentBytes = Math.max(peaks.parentBytes, await largest(crew.members.map(({ pid }) => pid)));
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
