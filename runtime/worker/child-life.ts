/** One life of a child process: its start, the requests it owes an answer to, and its end. */
import type { ChildProcess as Process } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { asError, type FailureType } from '../errors.ts';
import { OomKills } from './cgroup.ts';
import { ChildErrors } from './child-errors.ts';
import type { Request, Response } from './protocol.ts';
import { type ChildStart, killChild, startChild } from './start-child.ts';

const READY_TIMEOUT_MS = 30_000;
/** Of this process's group, looked for at the first task. */
let oomKills: OomKills | undefined;

/** In place of an answer. */
export interface Lost {
  type: 'lost';
  consequence: 'reject' | 'retry';
  failureType: FailureType;
  message: string;
}

export function lost(why: FailureType, message: string, consequence: Lost['consequence'] = 'retry'): Lost {
  return { type: 'lost', consequence, failureType: why, message };
}

interface LifeOptions extends ChildStart {
  /** Whether no other child uses the container's memory. */
  isAlone: boolean;
  log: Logger;
  onBroken: (reason: string) => void;
  /** Before the start, because the last one failed. */
  delayMs: number;
}

export class ChildLife {
  /** Whether it has come up; resolves once it is known. */
  readonly ready: Promise<boolean>;
  /** Resolves at its end, whoever ends it. */
  readonly ended: Promise<void>;
  /** Jobs it has answered. */
  tasks = 0;
  readonly #options: LifeOptions;
  readonly #ready = Promise.withResolvers<boolean>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #pending = new Map<number, (response: Response | Lost) => void>();
  #timer: NodeJS.Timeout | undefined;
  #process: Process | undefined;
  #stopped = false;
  /** Of its group, when it was last asked for something. */
  #oomKills: number | undefined;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.ready = this.#ready.promise;
    this.ended = this.#ended.promise;
    if (options.delayMs === 0) this.#start();
    else this.#timer = setTimeout(() => this.#start(), options.delayMs);
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Whether it was ended from here rather than by itself. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** One request, one response; past the time the process is killed and the answer is `lost`. */
  ask(request: Request, timeoutMs: number, late: string): Promise<Response | Lost> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.end(lost('timeout', late)), timeoutMs);
      const answer = (response: Response | Lost) => {
        clearTimeout(timer);
        this.#pending.delete(request.seq);
        if (response.type === 'ran') this.tasks++;
        resolve(response);
      };
      this.#pending.set(request.seq, answer);
      oomKills ??= new OomKills();
      this.#oomKills = oomKills.count;
      this.#send(request, answer);
    });
  }

  /** Answers what is still owed with `why` and makes sure that the process is gone. */
  end(why: Lost): void {
    this.#stopped = true;
    this.#finish(why);
    if (this.#process !== undefined) killChild(this.#process);
  }

  /** Ends the process and waits until it is gone. */
  async close(): Promise<void> {
    const exited = this.#exit();
    this.end(lost('child-lost', 'The worker stops.'));
    await exited;
  }

  /** Memory it holds now; 0 when it holds none any more, or is not on Linux. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
  }

  #send(request: Request, answer: (response: Lost) => void): void {
    if (this.#process?.connected !== true)
      return answer(lost('child-lost', 'The child process is not there.'));
    try {
      this.#process.send(request, (error) => {
        if (error !== null) answer(lost('child-lost', error.message));
      });
    } catch (error) {
      // What cannot be cloned comes from the message: the child is as well as before.
      const message = `The task cannot be handed to its process: ${asError(error).message}.`;
      answer(lost('invalid-task', message, 'reject'));
    }
  }

  #start(): void {
    const { log } = this.#options;
    try {
      const started = startChild(this.#options);
      this.#process = started;
      this.#timer = setTimeout(() => killChild(started), READY_TIMEOUT_MS);
      const errors = new ChildErrors((text, leftOut) =>
        log.warn({ child: started.pid, ...(leftOut > 0 && { left_out: leftOut }) }, text),
      );
      started.stderr?.setEncoding('utf8').on('data', (text: string) => errors.take(text));
      started.stderr?.once('close', () => errors.flush());
      started.on('message', (response: Response) => this.#hear(response));
      started.on('error', (error) => this.#hearError(error));
      started.on('exit', (code, signal) => this.#hearExit(started, signal ?? `exit code ${code}`));
    } catch (error) {
      this.#hearError(asError(error));
    }
  }

  #hearError(error: Error): void {
    const { log, onBroken, user } = this.#options;
    log.error({ err: error }, 'the child process cannot be reached');
    if ((error as NodeJS.ErrnoException).code === 'EPERM')
      onBroken(`CHILD_UID and CHILD_GID: this worker may not run filters as ${user.uid}:${user.gid}.`);
    if (this.pid === undefined) this.#finish(lost('child-lost', 'The child process cannot be started.'));
  }

  #hearExit(process: Process, how: string): void {
    killChild(process);
    const isOutOfMemory =
      how === 'SIGKILL' && !this.#stopped && (oomKills?.count ?? 0) > (this.#oomKills ?? 0);
    this.#finish(
      isOutOfMemory
        ? lost(
            'memory',
            'The task needed more memory than there is, and the kernel stopped it.',
            this.#options.isAlone ? 'reject' : 'retry',
          )
        : lost('child-lost', `The child process died (${how}) while working.`),
    );
  }

  #hear(response: Response | undefined | null): void {
    // A filter can send to its parent, too. What answers nothing is not heard.
    if (response === undefined || response === null) return;
    if (response.type === 'broken') return this.#options.onBroken(response.message);
    if (response.type !== 'ready') return this.#pending.get(response.seq)?.(response);
    clearTimeout(this.#timer);
    this.#ready.resolve(true);
  }

  #finish(why: Lost): void {
    clearTimeout(this.#timer);
    this.#ready.resolve(false);
    // Before the answers: whoever gets one finds the next child already there.
    this.#ended.resolve();
    for (const answer of [...this.#pending.values()]) answer(why);
  }

  #exit(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const started = this.#process;
    if (started === undefined || started.exitCode !== null || started.signalCode !== null) resolve();
    else started.once('exit', () => resolve());
    return promise;
  }
}
