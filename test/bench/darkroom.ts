/** Darkroom as a contestant: workers in a layout, and what becomes of the tasks that they are given. */
import { symlink } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FUNCTIONS_DIR } from '../../runtime/functions.ts';
import type { Step } from '../../runtime/task/task.ts';
import { Installation, type InstallationOptions } from '../support/installation.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import type { WorkerProcess } from '../support/worker-process.ts';
import { Completions } from './completions.ts';
import { holdToCpu, MEASURED_CPU } from './cpus.ts';
import type { SlowS3 } from './peers/slow-s3.ts';
import type { Contestant } from './turns.ts';

/** Of a file in the storage that all tasks read. */
const INPUT = 'photo.jpg';
/** The telemetry SDK is loaded one second after the start. */
const TELEMETRY_LOADED_MS = 1_500;

export interface Layout {
  workers: number;
  slots: number;
}

/** One worker, with as many slots as it has where nobody sets them; `--only layouts` compares others. */
export const ADVISED: Layout = { workers: 1, slots: availableParallelism() + 1 };

export interface DarkroomOptions extends Pick<InstallationOptions, 'amqpUrl' | 'env'> {
  /** What the workers take. */
  filters: string[];
  layout: Layout;
  photo: Uint8Array;
  /** Of each task. */
  steps: Partial<Step>[];
  /** In place of a folder. */
  s3?: SlowS3 | undefined;
  /** Whether the workers are held to the measured processor. */
  isHeld?: boolean;
}

export class Darkroom implements Contestant {
  readonly installation: Installation;
  readonly workers: WorkerProcess[] = [];
  readonly #options: DarkroomOptions;
  #parts: AsyncDisposableStack | undefined;
  #completions: Completions | undefined;
  #turns = 0;

  private constructor(options: DarkroomOptions, functionsDir: string) {
    const env = {
      // As many at once as there are cores, and not more threads than that.
      THREADS: '1',
      // No child is replaced, and none of its CPU time forgotten, while it is measured.
      CHILD_MAX_TASKS: '1000000',
      SLOTS: String(options.layout.slots),
      ...(options.s3 !== undefined && { ...options.s3.env, STORAGE_URL: options.s3.url }),
      ...options.env,
      FUNCTIONS_DIR: functionsDir,
    };
    this.#options = options;
    this.installation = new Installation({ amqpUrl: options.amqpUrl, env, word: 'bench' });
  }

  /** Its workers consume, and have loaded all that they load. */
  static async start(options: DarkroomOptions): Promise<Darkroom> {
    await using stack = new AsyncDisposableStack();
    const functions = stack.use(await functionsOf(options));
    const darkroom = new Darkroom(options, functions.path);
    stack.defer(() => darkroom.installation[Symbol.asyncDispose]());
    await darkroom.#start();
    darkroom.#parts = stack.move();
    return darkroom;
  }

  /** @returns images a second */
  async run(tasks: number): Promise<number> {
    return (tasks * 1_000) / (await this.msFor(tasks));
  }

  /** Milliseconds from the first publish to the last completion. */
  async msFor(tasks: number): Promise<number> {
    const completions = this.#completions!;
    const { steps } = this.#options;
    const { prefix } = this.installation;
    const turn = ++this.#turns;
    const wanted = completions.count + tasks;
    const start = performance.now();
    const publishing = Array.from({ length: tasks }, (_, index) =>
      this.installation.publish({ id: `${prefix}-${turn}-${index}`, input: INPUT, steps }),
    );
    const [end] = await Promise.all([completions.reach(wanted), ...publishing]);
    return end - start;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts?.disposeAsync();
  }

  async #start(): Promise<void> {
    const { filters, layout, photo, s3, isHeld } = this.#options;
    await this.installation.open();
    this.#completions = await Completions.of(this.installation);
    await (s3 ?? this.installation).put(INPUT, photo);
    for (let worker = 0; worker < layout.workers; worker++)
      this.workers.push(await this.installation.worker(filters));
    if (isHeld) for (const { pid } of this.workers) await holdToCpu(pid, MEASURED_CPU);
    await sleep(TELEMETRY_LOADED_MS);
    for (const worker of this.workers)
      await until(async () => (await worker.get('/metrics')).status === 200, 'the metrics');
  }
}

/** A folder of the filters that are needed: each other one is a queue, for which the broker works even when it is idle. */
async function functionsOf({ filters, env }: Pick<DarkroomOptions, 'filters' | 'env'>) {
  const folder = await temporaryFolder();
  for (const file of filters.map((filter) => `${filter}.ts`))
    await symlink(join(env?.FUNCTIONS_DIR ?? FUNCTIONS_DIR, file), join(folder.path, file));
  return folder;
}
