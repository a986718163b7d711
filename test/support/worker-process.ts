/** A worker as a process of its own: what it logs, the processes under it, and its end. Linux. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { childPids } from './process-facts.ts';
import { LAUNCHER } from './run-program.ts';
import { until } from './until.ts';

const PROBE_TIMEOUT_MS = 2_000;
/** A worker under load for hours says more than this process can hold. */
const LOG_LINES_MAX = 10_000;
const COMPLAINTS = ['warn', 'error', 'fatal'];

export class WorkerProcess {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it logged, oldest first; of very much the latest. */
  readonly logs: Record<string, unknown>[] = [];
  /** Its exit code; null when it was killed. */
  readonly exited: Promise<number | null>;
  /** Of its probe server; 0 until it has started. */
  port = 0;
  /** Whether somebody here has told it to end. */
  isTold = false;
  #errors = '';

  /** @param record takes all that it says, too */
  constructor(filters: readonly string[], env: NodeJS.ProcessEnv, record?: Writable) {
    const child = spawn(process.execPath, [LAUNCHER, 'worker', ...filters], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line));
    child.stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    if (record !== undefined)
      for (const stream of [child.stdout, child.stderr]) stream.pipe(record, { end: false });
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** The last warnings and errors of its log, and what it wrote to standard error. */
  get complaints(): string[] {
    const warnings = this.logs.filter(({ level }) => COMPLAINTS.includes(String(level)));
    const lines = warnings.map((line) => JSON.stringify(line));
    return [...lines, this.#errors].filter((text) => text !== '').slice(-3);
  }

  /** @throws Error with what it said when it ends before it consumes */
  async consuming(): Promise<void> {
    await until(() => {
      if (!this.isRunning) throw new Error(`the worker ended with ${this.process.exitCode}: ${this.#errors}`);
      return this.logs.some(({ msg }) => msg === 'consuming') && this.port !== 0;
    }, 'a worker that consumes');
  }

  /** The processes that run its filters. */
  childPids(): Promise<number[]> {
    return childPids(this.pid);
  }

  /** The first of them, once there is one. */
  async childPid(): Promise<number> {
    return await until(async () => (await this.childPids())[0], 'the child process');
  }

  signal(name: NodeJS.Signals): void {
    this.isTold = true;
    this.process.kill(name);
  }

  /** SIGTERM. @returns its exit code; 0 for one that had not begun to run */
  async stop(): Promise<number | null> {
    const hadBegun = this.port !== 0;
    this.signal('SIGTERM');
    const code = await this.exited;
    return hadBegun ? code : (code ?? 0);
  }

  /** kill -9 of the parent alone; its child notices by itself. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Asks its probe server. */
  async get(path: string, options: RequestInit = {}): Promise<{ status: number; body: string }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, options);
    return { status: response.status, body: await response.text() };
  }

  /** The sum of a metric over its labels, or over those that are given; 0 for a worker that does not answer. */
  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    if (this.port === 0 || !this.isRunning) return 0;
    const { body } = await this.get('/metrics').catch(() => ({ body: '' }));
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const values = [...body.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)/gm)].filter(
      ([, metric, set = '']) => metric === name && wanted.every((label) => set.includes(label)),
    );
    return values.reduce((sum, [, , , value]) => sum + Number(value), 0);
  }

  /** What its readiness probe says. */
  async isReady(): Promise<boolean> {
    if (this.port === 0 || !this.isRunning) return false;
    return await this.get('/readyz', { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  #hear(line: string): void {
    const entry = parsed(line);
    if (entry.msg === 'worker started') this.port = Number(entry.port);
    this.logs.push(entry);
    if (this.logs.length > 2 * LOG_LINES_MAX) this.logs.splice(0, LOG_LINES_MAX);
  }
}

/** A line that was cut off when its writer died is kept as it is. */
function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { level: 'error', msg: line };
  }
}
