/** CPU time and storage requests that a Darkroom takes for a task. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMsOfTree } from './cpus.ts';
import type { Darkroom } from './darkroom.ts';
import type { RequestCounts, SlowS3 } from './peers/slow-s3.ts';
import type { Contestant } from './turns.ts';

/** Between the last event and the end of what its worker does then: cleaning up, acknowledging. */
const SETTLED_MS = 300;

/** Counts milliseconds of CPU a task, of the workers with their children. */
export class Costs implements Contestant {
  readonly #darkroom: Darkroom;
  readonly #s3: SlowS3 | undefined;
  /** A task, in the latest turn. */
  requests: RequestCounts = {};

  constructor(darkroom: Darkroom, s3?: SlowS3) {
    this.#darkroom = darkroom;
    this.#s3 = s3;
  }

  async run(tasks: number): Promise<number> {
    await this.#s3?.requests();
    const before = await this.#cpuMs();
    await this.#darkroom.msFor(tasks);
    await sleep(SETTLED_MS);
    const cpuMs = (await this.#cpuMs()) - before;
    const counts = Object.entries((await this.#s3?.requests()) ?? {});
    this.requests = Object.fromEntries(counts.map(([method, count]) => [method, count / tasks]));
    return cpuMs / tasks;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#darkroom[Symbol.asyncDispose]();
  }

  async #cpuMs(): Promise<number> {
    const times = await Promise.all(this.#darkroom.workers.map(({ pid }) => cpuMsOfTree(pid)));
    return times.reduce((sum, ms) => sum + ms, 0);
  }
}
