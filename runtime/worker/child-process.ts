/**
 * The parent's handle on its child: sends jobs, kills at the deadline or past the memory bound, and has the
 * next child ready. A library's own timeout cannot stop every decoder; SIGKILL can.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { FailureType } from '../errors.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import type { ChildSettings } from './child.ts';
import type { Job, Request, Response, StepResult } from './protocol.ts';

const MEMORY_POLL_MS = 200;
const READY_TIMEOUT_MS = 30_000;
const RESTART_DELAY_MAX_MS = 5_000;
const PAGE_BYTES = 4_096;
/** Failed starts in a row after which the worker no longer calls itself ready. */
const FAILED_STARTS_LIMIT = 3;

export interface ChildOptions {
  settings: ChildSettings;
  /** Processors the image library may use. */
  threads: number;
  maxTasks: number;
  maxMemoryBytes: number;
  log: Logger;
  /** Told why the child cannot start, when trying again would not help. */
  onBroken: (reason: string) => void;
  env?: NodeJS.ProcessEnv;
}

export interface Child {
  /** Does the job or says why not, within `timeoutMs` of the child being ready; never throws. */
  run(job: Job, timeoutMs: number): Promise<StepResult>;
  /** Marks a task as failed. @returns the marker that stands, or undefined when it could not be written. */
  fail(ended: TaskMarker, timeoutMs: number): Promise<TaskMarker | undefined>;
  /** Removes an ended task's intermediates; what cannot be removed now is left to the sweep. */
  clean(taskId: string, timeoutMs: number): Promise<void>;
  /** Ends the work in hand; the job reports `child-lost`. */
  kill(): void;
  close(): Promise<void>;
  readonly pid: number | undefined;
  /** False when the child cannot be started. */
  readonly healthy: boolean;
  /** Children that had to be replaced so far. */
  readonly restarts: number;
}

interface Running {
  process: ChildProcess;
  ready: Promise<boolean>;
  tasks: number;
  pending: Map<number, (response: Response | Lost) => void>;
}

interface Lost {
  type: 'lost';
  failureType: FailureType;
  message: string;
}

export function startChild(options: ChildOptions): Child {
  const { log } = options;
  let seq = 0;
  let closed = false;
  let restarts = 0;
  let failedStarts = 0;
  let current = spawn();

  return {
    run: runJob,
    async fail(ended, timeoutMs) {
      const response = await ask({ type: 'fail', seq: ++seq, ended }, timeoutMs);
      return response.type === 'failed' ? response.ended : undefined;
    },
    async clean(taskId, timeoutMs) {
      await ask({ type: 'clean', seq: ++seq, taskId }, timeoutMs);
    },
    kill: () => end(current, { type: 'lost', failureType: 'child-lost', message: 'The work was stopped.' }),
    async close() {
      closed = true;
      const { process } = current;
      if (process.exitCode !== null || process.signalCode !== null) return;
      await new Promise<void>((resolve) => {
        process.once('exit', () => resolve());
        process.kill('SIGKILL');
      });
    },
    get pid() {
      return current.process.pid;
    },
    get healthy() {
      return failedStarts < FAILED_STARTS_LIMIT;
    },
    get restarts() {
      return restarts;
    },
  };

  async function runJob(job: Job, timeoutMs: number): Promise<StepResult> {
    const child = current;
    if (!(await child.ready))
      return lostResult({
        type: 'lost',
        failureType: 'child-lost',
        message: 'The child process did not start.',
      });
    const stopWatching = watchMemory(child);
    const response = await ask({ type: 'run', seq: ++seq, job }, timeoutMs, () => ({
      type: 'lost',
      failureType: 'timeout',
      message: `Step ${job.step} (${job.task.steps[job.step]?.filter}) took longer than its ${timeoutMs} ms and was stopped.`,
    }));
    stopWatching();
    if (response.type !== 'ran') return lostResult(response);
    replaceIfWorn(child, response);
    return response.result;
  }

  /** One request, one response; past the time the child is killed and the answer is `lost`. */
  function ask(
    request: Request,
    timeoutMs: number,
    late: () => Lost = () => tooLate(request),
  ): Promise<Response | Lost> {
    const child = current;
    return new Promise((resolve) => {
      const timer = setTimeout(() => end(child, late()), timeoutMs);
      child.pending.set(request.seq, (response) => {
        clearTimeout(timer);
        child.pending.delete(request.seq);
        resolve(response);
      });
      child.process.send(request, (error) => {
        if (error !== null)
          child.pending.get(request.seq)?.({
            type: 'lost',
            failureType: 'child-lost',
            message: error.message,
          });
      });
    });
  }

  function spawn(): Running {
    const started = fork(new URL('./child.ts', import.meta.url), [JSON.stringify(options.settings)], {
      env: childEnvironment(options.env ?? process.env, options.threads),
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const ready = Promise.withResolvers<boolean>();
    const child: Running = { process: started, ready: ready.promise, tasks: 0, pending: new Map() };
    const timer = setTimeout(() => started.kill('SIGKILL'), READY_TIMEOUT_MS);
    started.stderr?.on('data', (text: Buffer) =>
      log.warn({ child: started.pid }, text.toString('utf8').slice(0, 4_096).trim()),
    );
    started.on('message', (response: Response) => {
      if (response.type === 'broken') return options.onBroken(response.message);
      if (response.type !== 'ready') return child.pending.get(response.seq)?.(response);
      clearTimeout(timer);
      failedStarts = 0;
      ready.resolve(true);
    });
    started.on('error', (error) => log.error({ err: error }, 'the child process cannot be reached'));
    started.on('exit', (code, signal) => {
      clearTimeout(timer);
      void ready.promise.then((was) => was || failedStarts++);
      ready.resolve(false);
      end(child, {
        type: 'lost',
        failureType: 'child-lost',
        message: `The child process died (${signal ?? `exit code ${code}`}) while working.`,
      });
      if (current === child) replace(child);
    });
    return child;
  }

  /** Settles what the child still owed and makes sure that it is gone. */
  function end(child: Running, lost: Lost): void {
    if (current === child) replace(child);
    for (const settle of [...child.pending.values()]) settle(lost);
    child.process.kill('SIGKILL');
  }

  function replace(child: Running): void {
    if (closed || current !== child) return;
    restarts++;
    const delayMs = failedStarts === 0 ? 0 : Math.min(RESTART_DELAY_MAX_MS, 100 * 2 ** failedStarts);
    if (delayMs === 0) current = spawn();
    else
      current = {
        ...child,
        pending: new Map(),
        ready: new Promise((resolve) => setTimeout(() => resolve(respawn()), delayMs)),
      };
  }

  async function respawn(): Promise<boolean> {
    if (closed) return false;
    current = spawn();
    return current.ready;
  }

  /** A child that has done its share, or grown, makes way between two tasks. */
  function replaceIfWorn(child: Running, response: Extract<Response, { type: 'ran' }>): void {
    child.tasks++;
    const abandoned = response.result.kind === 'ended' && response.result.abandoned === true;
    const grown = response.rssBytes > options.maxMemoryBytes;
    if (!abandoned && !grown && child.tasks < options.maxTasks) return;
    log.debug({ tasks: child.tasks, rssBytes: response.rssBytes, abandoned }, 'replacing the child process');
    end(child, { type: 'lost', failureType: 'child-lost', message: 'The child process was replaced.' });
  }

  /** Kills a child that outgrows its bound in mid-task. Linux only; elsewhere it is replaced after the task. */
  function watchMemory(child: Running): () => void {
    const timer = setInterval(async () => {
      const rssBytes = await residentBytes(child.process.pid);
      if (rssBytes === undefined || rssBytes <= options.maxMemoryBytes) return;
      const mebibytes = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`;
      end(child, {
        type: 'lost',
        failureType: 'memory',
        message: `The task needed more memory than its ${mebibytes(options.maxMemoryBytes)} (${mebibytes(rssBytes)}) and was stopped.`,
      });
    }, MEMORY_POLL_MS);
    return () => clearInterval(timer);
  }
}

function lostResult(response: Response | Lost): StepResult {
  const lost: Lost =
    response.type === 'lost'
      ? response
      : {
          type: 'lost',
          failureType: 'child-lost',
          message: 'message' in response ? response.message : response.type,
        };
  return { kind: 'failed', consequence: 'retry', failureType: lost.failureType, message: lost.message };
}

function tooLate(request: Request): Lost {
  return {
    type: 'lost',
    failureType: 'timeout',
    message: `The child process did not answer "${request.type}" in time.`,
  };
}

async function residentBytes(pid: number | undefined): Promise<number | undefined> {
  try {
    const pages = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ')[1];
    return Number(pages) * PAGE_BYTES;
  } catch {
    return undefined;
  }
}

/** What a child may know: enough to run, to reach the storage and to trust its certificates. Never the broker. */
const CHILD_VARIABLES =
  /^(PATH|HOME|TMPDIR|TEMP|TMP|TZ|LANG|LC_.*|SYSTEMROOT|AWS_.*|NODE_EXTRA_CA_CERTS|NODE_COMPILE_CACHE|SSL_CERT_.*|LD_PRELOAD|LD_LIBRARY_PATH|MALLOC_.*|FONTCONFIG_.*|DARKROOM_FAILPOINT)$/;

function childEnvironment(env: NodeJS.ProcessEnv, threads: number): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(Object.entries(env).filter(([name]) => CHILD_VARIABLES.test(name)));
  return {
    // libvips counts processors, not the container's quota; on glibc sharp uses one thread unless arenas are bounded.
    MALLOC_ARENA_MAX: '2',
    ...kept,
    VIPS_CONCURRENCY: String(threads),
    UV_THREADPOOL_SIZE: String(Math.max(4, threads)),
    VIPS_BLOCK_UNTRUSTED: '1',
  };
}
