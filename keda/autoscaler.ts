/**
 * The laptop autoscaler: runs the scaling model against a real broker and starts and stops real worker
 * processes, as KEDA, the HPA and the kubelet do on a cluster.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { initialState, type Observation, type ScalingSettings, type ScalingState, step } from './model.ts';

const LAUNCHER = fileURLToPath(new URL('../runtime/cli/darkroom.mjs', import.meta.url));
/** How often it looks whether a poll or a sync is due. */
export const LOOP_MS = 250;
const RATE_WINDOW_MS = 5_000;

export interface AutoscalerOptions {
  functions: { filter: string; settings: ScalingSettings }[];
  /** Ready and unacknowledged messages of a filter's queue; throws when the broker cannot be asked. */
  observe(filter: string): Promise<{ ready: number; unacked: number }>;
  /** Environment of the workers: broker, storage, limits. */
  env: NodeJS.ProcessEnv;
  /** The model's clock runs so many times faster: 10 makes a 300 s cooldown last 30 s. Default 1. */
  speed?: number;
  /** Told of every change and every worker that ends unasked. */
  log?: (entry: { filter: string; text: string }) => void;
  /** Each line that a worker logs. */
  onWorkerLog?: (filter: string, entry: Record<string, unknown>) => void;
}

export interface FunctionView {
  filter: string;
  ready: number;
  unacked: number;
  wanted: number;
  running: number;
  /** Workers told to stop that still finish their task. */
  draining: number;
  /** Steps settled in a second, over the last five. */
  perSecond: number;
  settled: number;
  error: string | undefined;
  reason: string;
}

export interface Autoscaler {
  view(): FunctionView[];
  /** Every busy worker finishes its task; resolves when all processes are gone. */
  stop(): Promise<void>;
}

interface WorkerProcess {
  process: ChildProcess;
  port: number | undefined;
  stopping: boolean;
  exited: Promise<void>;
}

interface Scaled {
  filter: string;
  settings: ScalingSettings;
  state: ScalingState;
  workers: Set<WorkerProcess>;
  seen: { ready: number; unacked: number; error: string | undefined };
  settledAtMs: number[];
  settled: number;
  reason: string;
}

export function startAutoscaler(options: AutoscalerOptions): Autoscaler {
  const { speed = 1, log = () => {} } = options;
  const startedMs = Date.now();
  const clockMs = () => startedMs + (Date.now() - startedMs) * speed;
  const scaled = options.functions.map(
    ({ filter, settings }): Scaled => ({
      filter,
      settings,
      state: initialState(clockMs(), settings.minReplicas),
      workers: new Set(),
      seen: { ready: 0, unacked: 0, error: undefined },
      settledAtMs: [],
      settled: 0,
      reason: '',
    }),
  );
  let stopped = false;
  const loops = Promise.all(scaled.map(loop));

  return {
    view: () => scaled.map(viewOf),
    async stop() {
      stopped = true;
      await loops;
      await Promise.all(scaled.flatMap(({ workers }) => [...workers].map(end)));
    },
  };

  async function loop(one: Scaled): Promise<void> {
    while (!stopped) {
      await decide(one);
      await follow(one);
      await new Promise((resolve) => setTimeout(resolve, LOOP_MS));
    }
  }

  async function decide(one: Scaled): Promise<void> {
    const observation = await look(one);
    const decision = step(one.state, observation, one.settings);
    if (decision.replicas !== one.state.replicas)
      log({
        filter: one.filter,
        text: `${one.state.replicas} → ${decision.replicas}: ${decision.reasons.map(({ text }) => text).join('; ')}`,
      });
    one.state = decision.state;
    one.reason = decision.reasons.at(-1)?.text ?? one.reason;
  }

  async function look(one: Scaled): Promise<Observation> {
    const statusReplicas = living(one).length;
    try {
      const { ready, unacked } = await options.observe(one.filter);
      one.seen = { ready, unacked, error: undefined };
    } catch (error) {
      one.seen.error = error instanceof Error ? error.message : String(error);
    }
    return { nowMs: clockMs(), statusReplicas, ...one.seen };
  }

  /** Makes the processes as many as wanted; a worker that died is replaced, as a Deployment would. */
  async function follow(one: Scaled): Promise<void> {
    const surplus = living(one).length - one.state.replicas;
    for (let missing = -surplus; missing > 0; missing--) one.workers.add(startProcess(one));
    if (surplus <= 0) return;
    for (const worker of (await idleFirst(one)).slice(0, surplus)) void end(worker);
  }

  function startProcess(one: Scaled): WorkerProcess {
    const child = spawn(process.execPath, [LAUNCHER, 'worker', one.filter, '--port', '0', '--with-parent'], {
      env: { ...options.env, LOG_LEVEL: 'info' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = Promise.withResolvers<void>();
    const worker: WorkerProcess = {
      process: child,
      port: undefined,
      stopping: false,
      exited: exited.promise,
    };
    createInterface({ input: child.stdout }).on('line', (line) => heard(one, worker, line));
    createInterface({ input: child.stderr }).on('line', (line) => log({ filter: one.filter, text: line }));
    child.once('exit', (code, signal) => {
      one.workers.delete(worker);
      if (!worker.stopping)
        log({
          filter: one.filter,
          text: `a worker ended unasked (${signal ?? `exit code ${code}`}); another takes its place`,
        });
      exited.resolve();
    });
    return worker;
  }

  function heard(one: Scaled, worker: WorkerProcess, line: string): void {
    const entry = parseLine(line);
    if (entry === undefined) return;
    if (typeof entry.port === 'number') worker.port = entry.port;
    if (entry.msg === 'step completed' || entry.msg === 'task ended' || entry.msg === 'task failed') {
      one.settled++;
      one.settledAtMs.push(Date.now());
    }
    options.onWorkerLog?.(one.filter, entry);
  }

  function viewOf(one: Scaled): FunctionView {
    const since = Date.now() - RATE_WINDOW_MS;
    one.settledAtMs = one.settledAtMs.filter((atMs) => atMs > since);
    const running = living(one).length;
    return {
      filter: one.filter,
      ...one.seen,
      wanted: one.state.replicas,
      running,
      draining: one.workers.size - running,
      perSecond: (one.settledAtMs.length * 1_000) / RATE_WINDOW_MS,
      settled: one.settled,
      reason: one.reason,
    };
  }
}

function living(one: Scaled): WorkerProcess[] {
  return [...one.workers].filter(({ stopping }) => !stopping);
}

/** Who has nothing in hand goes first, as pod-deletion-cost arranges on a cluster. */
async function idleFirst(one: Scaled): Promise<WorkerProcess[]> {
  const judged = await Promise.all(
    living(one).map(async (worker) => ({ worker, busy: await isBusy(worker.port) })),
  );
  return judged.sort((a, b) => Number(a.busy) - Number(b.busy)).map(({ worker }) => worker);
}

async function isBusy(port: number | undefined): Promise<boolean> {
  if (port === undefined) return false;
  try {
    const metrics = await (
      await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(1_000) })
    ).text();
    return /^darkroom_tasks_in_flight\{[^}]*\} [1-9]/m.test(metrics);
  } catch {
    return true;
  }
}

function end(worker: WorkerProcess): Promise<void> {
  worker.stopping = true;
  worker.process.kill('SIGTERM');
  return worker.exited;
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
