/** One worker that the autoscaler runs as a process of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const METRICS_TIMEOUT_MS = 1_000;

export class LocalWorker {
  /** Resolves with how it ended, when it has. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  /** Of its metrics, once it has logged it. */
  #port: number | undefined;
  #isStopping = false;

  /** @param listen what it logs: the message of each JSON line, and each line of standard error */
  constructor(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    listen: { onLog(message: unknown): void; onError(line: string): void },
  ) {
    const child = spawn(program, args, {
      env: { ...env, LOG_LEVEL: 'info' },
      // Ctrl-C in a terminal reaches a whole process group. A worker takes the second signal as a reason to hurry.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = parseLine(line);
      if (typeof entry.port === 'number') this.#port = entry.port;
      listen.onLog(entry.msg);
    });
    createInterface({ input: child.stderr }).on('line', listen.onError);
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
      child.once('error', ({ message }) => resolve(message));
    });
  }

  /** It was told to end. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** Lets it finish its task; resolves when it is gone. */
  async end(): Promise<void> {
    this.#isStopping = true;
    this.#process.kill('SIGTERM');
    await this.ended;
  }

  /** By its own metrics; none before they are there, undefined where it does not answer. */
  async tasksInHand(): Promise<number | undefined> {
    if (this.#port === undefined) return 0;
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/metrics`, {
        signal: AbortSignal.timeout(METRICS_TIMEOUT_MS),
      });
      const counts = (await response.text()).matchAll(/^darkroom_tasks_in_flight\{[^}]*\} (\d+)/gm);
      return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
    } catch {
      return undefined;
    }
  }
}

function parseLine(line: string): Record<string, unknown> {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
