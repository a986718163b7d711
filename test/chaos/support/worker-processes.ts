/** Real worker processes, kept alive by a small supervisor as Kubernetes would keep them. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { WorkerProcess } from '../../support/worker-process.ts';
import type { Random } from './random.ts';

const RESTART_DELAY_MS = 50;
/** Before the next one takes the place of a worker that could not even start. */
const FAILED_START_DELAY_MS = 2_000;
const READY_TIMEOUT_MS = 60_000;

/** Which filters a worker has, and what its environment has beside the others'. */
export interface WorkerSpec {
  filters: readonly string[];
  env?: NodeJS.ProcessEnv;
}

export interface WorkerProcessesOptions {
  env?: NodeJS.ProcessEnv;
  /** Deaths are part of the scenario (failpoints) and not counted. */
  mayDie?: boolean;
}

export class WorkerProcesses {
  /** The one that runs now in the place of each spec. */
  readonly current: WorkerProcess[];
  /** Workers that ended although nobody here told them to. */
  readonly deaths: string[] = [];
  readonly #specs: readonly WorkerSpec[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #logs: WriteStream[];
  readonly #mayDie: boolean;
  #isEnding = false;

  /** @param logFolder where standard output and errors go, one file per worker */
  constructor(
    specs: readonly WorkerSpec[],
    env: NodeJS.ProcessEnv,
    logFolder: string,
    { mayDie = false }: WorkerProcessesOptions = {},
  ) {
    const startedAt = Math.round(performance.now());
    this.#specs = specs;
    this.#env = env;
    this.#mayDie = mayDie;
    this.#logs = specs.map((_, place) =>
      createWriteStream(join(logFolder, `worker-${startedAt}-${place}.log`), { flags: 'a' }),
    );
    this.current = specs.map((_, place) => this.#start(place));
  }

  /** Resolves when every worker says that it is ready, with all its slots. */
  async ready(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    const all = async () =>
      (await Promise.all(this.current.map((_, place) => this.#isReady(place)))).every(Boolean);
    await until(all, 'workers that are ready', timeoutMs);
  }

  /** How many tasks they have in hand. */
  async inHand(): Promise<number> {
    const counts = await Promise.all(this.current.map((worker) => worker.metric('darkroom_tasks_in_flight')));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** kill -9 of a worker that runs, or of one of its children. @returns whether there was one */
  async killOne(random: Random, what: 'worker' | 'child'): Promise<boolean> {
    const worker = random.pick(this.current);
    if (!worker.isRunning) return false;
    if (what === 'worker') {
      await worker.kill();
      return true;
    }
    const [child] = random.shuffle(await worker.childPids());
    return child !== undefined && killProcess(child);
  }

  /** No longer restarts, and ends all with SIGTERM. @returns their exit codes */
  async stop(): Promise<(number | null)[]> {
    this.#isEnding = true;
    const codes = await Promise.all(this.current.map((worker) => worker.stop()));
    for (const log of this.#logs) log.end();
    return codes;
  }

  /** kill -9 of all. */
  async kill(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.current.map((worker) => worker.kill()));
  }

  async #isReady(place: number): Promise<boolean> {
    const worker = this.current[place]!;
    const { filters, env } = this.#specs[place]!;
    const slots = Number({ ...this.#env, ...env }.SLOTS ?? 1);
    if (slots > 1 && (await worker.metric('darkroom_slots')) < filters.length * slots) return false;
    return await worker.isReady();
  }

  #start(place: number): WorkerProcess {
    const { filters, env } = this.#specs[place]!;
    const worker = new WorkerProcess(filters, { ...this.#env, ...env }, this.#logs[place]);
    void worker.exited.then((code) => this.#ended(place, worker, code));
    return worker;
  }

  async #ended(place: number, worker: WorkerProcess, code: number | null): Promise<void> {
    const { filters } = this.#specs[place]!;
    if (!worker.isTold && !this.#mayDie) {
      const complaint = worker.complaints.join(' | ').replaceAll(/\s+/g, ' ').slice(0, 2_000);
      this.deaths.push(`the worker of ${filters.join(',')} ended with ${code}: ${complaint}`);
    }
    if (this.#isEnding) return;
    await sleep(worker.port === 0 ? FAILED_START_DELAY_MS : RESTART_DELAY_MS);
    if (!this.#isEnding) this.current[place] = this.#start(place);
  }
}

function killProcess(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}
