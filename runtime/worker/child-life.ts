/** One life of a child process: its start, the requests it owes an answer to, and its end. */
import { fork, type ChildProcess as Process } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { asError, type FailureType } from '../errors.ts';
import { isStorageVariable } from '../storage/open.ts';
import type { ChildSettings } from './child.ts';
import type { Request, Response } from './protocol.ts';

const READY_TIMEOUT_MS = 30_000;
const PAGE_BYTES = 4_096;

/** In place of an answer. */
export interface Lost {
  type: 'lost';
  consequence: 'reject' | 'retry';
  failureType: FailureType;
  message: string;
}

export function lost(failureType: FailureType, message: string): Lost {
  return { type: 'lost', consequence: 'retry', failureType, message };
}

interface LifeOptions {
  settings: ChildSettings;
  threads: number;
  log: Logger;
  onBroken: (reason: string) => void;
  /** Before the start, because the last one failed. */
  delayMs: number;
  env: NodeJS.ProcessEnv;
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
      this.#send(request, answer);
    });
  }

  /** Answers what is still owed with `why` and makes sure that the process is gone. */
  end(why: Lost): void {
    this.#stopped = true;
    this.#finish(why);
    this.#process?.kill('SIGKILL');
  }

  /** Ends the process and waits until it is gone. */
  async close(): Promise<void> {
    const exited = this.#exit();
    this.end(lost('child-lost', 'The worker stops.'));
    await exited;
  }

  /** Memory it holds now; undefined where only Linux knows. */
  async residentBytes(): Promise<number | undefined> {
    try {
      const pages = (await readFile(`/proc/${this.pid}/statm`, 'utf8')).split(' ')[1];
      return Number(pages) * PAGE_BYTES;
    } catch {
      return undefined;
    }
  }

  #send(request: Request, answer: (response: Lost) => void): void {
    if (this.#process === undefined) return answer(lost('child-lost', 'The child process is not there.'));
    try {
      this.#process.send(request, (error) => {
        if (error !== null) answer(lost('child-lost', error.message));
      });
    } catch (error) {
      // What cannot be cloned comes from the message: the child is as well as before.
      const message = `The task cannot be handed to its process: ${asError(error).message}.`;
      answer({ type: 'lost', consequence: 'reject', failureType: 'invalid-task', message });
    }
  }

  #start(): void {
    const { settings, threads, env, log } = this.#options;
    const started = fork(new URL('./child.ts', import.meta.url), [JSON.stringify(settings)], {
      env: childEnvironment(env, threads),
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#process = started;
    this.#timer = setTimeout(() => started.kill('SIGKILL'), READY_TIMEOUT_MS);
    started.stderr?.on('data', (text: Buffer) =>
      log.warn({ child: started.pid }, text.toString('utf8').slice(0, 4_096).trim()),
    );
    started.on('message', (response: Response) => this.#hear(response));
    started.on('error', (error) => {
      log.error({ err: error }, 'the child process cannot be reached');
      if (started.pid === undefined) this.#finish(lost('child-lost', 'The child process cannot be started.'));
    });
    started.on('exit', (code, signal) =>
      this.#finish(
        lost('child-lost', `The child process died (${signal ?? `exit code ${code}`}) while working.`),
      ),
    );
  }

  #hear(response: Response): void {
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

/** What a child may know: enough to run, to reach the storage and to trust its certificates. Never the broker. */
const CHILD_VARIABLES =
  /^(PATH|HOME|TMPDIR|TEMP|TMP|TZ|LANG|LC_.*|SYSTEMROOT|NODE_EXTRA_CA_CERTS|NODE_COMPILE_CACHE|SSL_CERT_.*|LD_PRELOAD|LD_LIBRARY_PATH|MALLOC_.*|FONTCONFIG_.*|DARKROOM_FAILPOINT)$/;

function childEnvironment(env: NodeJS.ProcessEnv, threads: number): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(
    Object.entries(env).filter(([name]) => CHILD_VARIABLES.test(name) || isStorageVariable(name)),
  );
  return {
    // libvips counts processors, not the container's quota; on glibc sharp uses one thread unless arenas are bounded.
    MALLOC_ARENA_MAX: '2',
    ...kept,
    VIPS_CONCURRENCY: String(threads),
    UV_THREADPOOL_SIZE: String(Math.max(4, threads)),
    VIPS_BLOCK_UNTRUSTED: '1',
  };
}
