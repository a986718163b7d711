/**
 * A slot's hold on its child process: sends it jobs, kills it at the deadline or past the memory bound, and has the
 * next one ready. A library's own timeout cannot stop every decoder; SIGKILL can.
 */
import type { Logger } from 'pino';
import type { Task } from '../task/task.ts';
import type { IntermediatesOwner, TaskMarker } from '../task/task-marker.ts';
import { isCarried } from './carry.ts';
import { ChildLife, type Lost, lost } from './child-life.ts';
import type { Job, Request, Response, StandingMarker, StepFailure, StepResult } from './protocol.ts';
import type { ChildStart } from './start-child.ts';

const MEMORY_POLL_MS = 200;
/** Marker and clean-up requests are small; longer means that the storage hangs. */
const REQUEST_TIMEOUT_MS = 15_000;
const RESTART_DELAY_MAX_MS = 5_000;
/** Failed starts in a row after which the worker no longer calls itself ready. */
const FAILED_STARTS_LIMIT = 3;

export interface ChildOptions extends Omit<ChildStart, 'env'> {
  maxTasks: number;
  maxMemoryBytes: number;
  /** Whether no other child uses the container's memory. */
  isAlone: boolean;
  log: Logger;
  /** Told why the child cannot start, when trying again would not help. */
  onBroken: (reason: string) => void;
  env?: NodeJS.ProcessEnv;
}

/** What a slot asks of its child. */
export interface Child {
  /** Does the job or says why not, within `timeoutMs` of the child being ready; never throws. */
  run(job: Job, timeoutMs: number): Promise<StepResult>;
  /** Stores the image that {@link run} has kept for the next step of the job's task; never throws. */
  leave(job: Job, timeoutMs: number): Promise<StepResult>;
  /**
   * Marks a task as failed.
   * @param replace puts the marker in the place of one whose promise cannot be kept
   * @returns the marker that stands, or undefined when it could not be written
   */
  mark(task: Task, marker: TaskMarker, replace: boolean): Promise<StandingMarker | undefined>;
  /** Removes an ended task's intermediates; what cannot be removed now is left to the sweep. */
  clean(task: IntermediatesOwner): Promise<void>;
  /** Ends the work in hand; the job reports `child-lost`. */
  kill(): void;
  close(): Promise<void>;
  readonly pid: number | undefined;
  /** False when the child cannot be started. */
  readonly healthy: boolean;
  /** Children that had to be replaced so far. */
  readonly restarts: number;
}

export class ChildProcess implements Child {
  readonly #options: ChildOptions;
  #life: ChildLife;
  #sequence = 0;
  #restarts = 0;
  #failedStarts = 0;
  #closed = false;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#life = this.#begin();
  }

  get pid(): number | undefined {
    return this.#life.pid;
  }

  /** Resolves when it has come up, or never will. */
  async whenReady(): Promise<void> {
    while (!(await this.#life.ready) && !this.#closed) await this.#life.ended;
  }

  get healthy(): boolean {
    return this.#failedStarts < FAILED_STARTS_LIMIT;
  }

  get restarts(): number {
    return this.#restarts;
  }

  async run(job: Job, timeoutMs: number): Promise<StepResult> {
    const late = `Step ${job.step} (${job.task.steps[job.step]?.filter}) took longer than its ${timeoutMs} ms and was stopped.`;
    const life = this.#life;
    const isFresh = life.tasks === 0;
    const startMs = performance.now();
    const result = await this.#runIn(life, 'run', job, timeoutMs, late);
    if (isCarried(job)) return triedAgainAlone(result);
    if (isFresh || result.kind !== 'failed' || result.failureType !== 'memory') return result;
    // Perhaps the tasks before it left the child large. One that has done nothing else tells.
    const leftMs = Math.max(1, timeoutMs - (performance.now() - startMs));
    return await this.#runIn(
      this.#life,
      'run',
      { ...job, isRepeat: true, hasNotPromised: false },
      leftMs,
      late,
    );
  }

  async leave(job: Job, timeoutMs: number): Promise<StepResult> {
    const late = `The image after step ${job.step} could not be stored within ${timeoutMs} ms.`;
    return await this.#runIn(this.#life, 'leave', job, timeoutMs, late);
  }

  async mark(task: Task, marker: TaskMarker, replace: boolean): Promise<StandingMarker | undefined> {
    const response = await this.#ask({ type: 'mark', seq: ++this.#sequence, task, marker, replace });
    return response.type === 'marked' ? response.standing : undefined;
  }

  async clean({ id, fingerprint, steps }: IntermediatesOwner): Promise<void> {
    await this.#ask({ type: 'clean', seq: ++this.#sequence, task: { id, fingerprint, steps } });
  }

  kill(): void {
    this.#life.end(lost('child-lost', 'The work was stopped.'));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#life.close();
  }

  async #runIn(
    life: ChildLife,
    type: 'run' | 'leave',
    job: Job,
    timeoutMs: number,
    late: string,
  ): Promise<StepResult> {
    if (!(await life.ready)) return failureOf(lost('child-lost', 'The child process did not start.'));
    const { maxMemoryBytes } = this.#options;
    let isWorking = true;
    const poll = setInterval(async () => {
      const rssBytes = await life.residentBytes();
      if (isWorking && rssBytes > maxMemoryBytes) life.end(tooLarge(rssBytes, maxMemoryBytes));
    }, MEMORY_POLL_MS);
    try {
      const response = await life.ask({ type, seq: ++this.#sequence, job }, timeoutMs, late);
      if (response.type !== 'ran') return failureOf(response);
      const { result, rssBytes } = response;
      if (result.kind !== 'carried') this.#replaceIfWorn(life, response);
      else if (rssBytes > maxMemoryBytes && !result.mustFinish)
        return await this.#runIn(life, 'leave', job, timeoutMs, late);
      return result;
    } finally {
      isWorking = false;
      clearInterval(poll);
    }
  }

  #ask(request: Request): Promise<Response | Lost> {
    const late = `The child process did not answer "${request.type}" in time.`;
    return this.#life.ask(request, REQUEST_TIMEOUT_MS, late);
  }

  #begin(): ChildLife {
    const { env, ...options } = this.#options;
    // Once is enough.
    if (this.#restarts > 0 && options.settings.storageCheck === 'told')
      options.settings = { ...options.settings, storageCheck: undefined };
    const delayMs =
      this.#failedStarts === 0 ? 0 : Math.min(RESTART_DELAY_MAX_MS, 100 * 2 ** this.#failedStarts);
    const life = new ChildLife({ ...options, delayMs, env: env ?? process.env });
    void life.ready.then((started) => {
      if (started) this.#failedStarts = 0;
      else if (!this.#closed && !life.stopped) this.#failedStarts++;
    });
    void life.ended.then(() => {
      if (this.#closed || this.#life !== life) return;
      this.#restarts++;
      this.#life = this.#begin();
    });
    return life;
  }

  /** A child that has done its share, or grown, makes way between two tasks. */
  #replaceIfWorn(life: ChildLife, { result, rssBytes }: Extract<Response, { type: 'ran' }>): void {
    const { maxTasks, maxMemoryBytes, log } = this.#options;
    const abandoned = result.kind === 'ended' && result.abandoned === true;
    if (!abandoned && rssBytes <= maxMemoryBytes && life.tasks < maxTasks) return;
    log.debug({ tasks: life.tasks, rssBytes, abandoned }, 'replacing the child process');
    life.end(lost('child-lost', 'The child process was replaced.'));
  }
}

function tooLarge(rssBytes: number, maxBytes: number): Lost {
  const mebibytes = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`;
  const message = `The task needed more memory than its ${mebibytes(maxBytes)} (${mebibytes(rssBytes)}) and was stopped.`;
  return lost('memory', message, 'reject');
}

/** What killed a process that had done other steps before may be those: the step is tried again in one of its own. */
function triedAgainAlone(result: StepResult): StepResult {
  const isVerdict = result.kind === 'failed' && result.failureType === 'memory';
  return isVerdict ? { ...result, consequence: 'retry' } : result;
}

function failureOf(response: Response | Lost): StepFailure {
  const { consequence, failureType, message } =
    response.type === 'lost'
      ? response
      : lost('child-lost', 'message' in response ? response.message : response.type);
  return { kind: 'failed', consequence, failureType, message };
}
