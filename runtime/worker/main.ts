/** The worker's composition root: one broker, one child and one consumer per filter, probes, and a clean end. */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, openBroker } from '../amqp/broker.ts';
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { listFunctions } from '../functions.ts';
import { createLog, type Logger } from '../telemetry/log.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { type Health, startProbeServer } from '../telemetry/server.ts';
import { createTracing, type Tracing } from '../telemetry/tracing.ts';
import { nearest } from '../validation-message.ts';
import { cpuLimit, memoryLimit } from './cgroup.ts';
import { type Child, startChild } from './child-process.ts';
import { startDeletionCost } from './deletion-cost.ts';
import { startWorker, type Worker } from './worker.ts';

/** A child may use this share of the container's memory; the parent and the page cache need the rest. */
const CHILD_MEMORY_SHARE = 0.75;
/** Connected, yet without a consumer for this long: the supervisor is stuck and a restart is better. */
const CONSUMING_WEDGED_MS = 120_000;
const GIVE_BACK_TIMEOUT_MS = 5_000;
const SAME_SIGNAL_MS = 500;
const TELEMETRY_DELAY_MS = 1_000;

interface Unit {
  child: Child;
  worker: Worker;
}

/** Works until SIGTERM or SIGINT; resolves when drained. @throws UserError for a filter that is not there */
export async function runWorker(config: Config): Promise<void> {
  const filters = config.functions;
  checkFilters(filters, config.functionsDir);
  const name = `${config.pod.name ?? hostname()}/${process.pid}`;
  const log = createLog(config.logLevel, { worker: name });
  const metrics = createMetrics();
  const tracing = createTracing();
  const stop = stopSignal();
  const deletionCost = startDeletionCost(config.pod, log);
  const broker = openBroker({ ...config.amqp, name: `darkroom ${filters.join(',')} ${name}`, log });
  const units = filters.map((filter) =>
    startUnit(filter, {
      config,
      name,
      log,
      metrics,
      tracing,
      broker,
      onBusy: deletionCost.busy,
      onBroken: stop.broken,
    }),
  );
  const health = healthOf(broker, units, stop.signal);
  const server = await startProbeServer(config.http, health, metrics);
  log.info({ filters, port: server.port, threads: threadsPerChild(config) }, 'worker started');
  metrics.observe(observed(broker, units));
  await Promise.race([whenConsuming(broker, units, stop.signal), stop.promise]);
  if (!stop.signal.aborted) log.info({ filters, startup_ms: Math.round(performance.now()) }, 'consuming');
  // The telemetry SDK is large: the first tasks of a worker that was started for them go before it.
  const telemetry = setTimeout(() => void Promise.all([metrics.load(), tracing.load()]), TELEMETRY_DELAY_MS);

  await stop.promise;
  clearTimeout(telemetry);
  const drainMs = stop.reason() === undefined ? config.timeouts.drainMs : 0;
  await drain(units, drainMs, stop.again, log);
  await broker.close();
  await Promise.all(units.map(({ child }) => child.close()));
  await Promise.all([server.close(), metrics.shutdown(), deletionCost.stop()]);
  log.info('worker stopped');
  if (stop.reason() !== undefined) throw new UserError(`The worker cannot work: ${stop.reason()}`);
}

function checkFilters(filters: string[], functionsDir: string): void {
  const known = listFunctions(functionsDir);
  if (filters.length === 0)
    throw new UserError(
      `Say which filter to work on: darkroom worker FILTER…, or FUNCTION=FILTER. There are ${known.join(', ')}.`,
    );
  for (const filter of filters) {
    if (known.includes(filter)) continue;
    const near = nearest(filter, known);
    throw new UserError(
      `There is no filter "${filter}"${near === undefined ? '.' : `; did you mean "${near}"?`} There are ${known.join(', ')}.`,
    );
  }
}

interface Shared {
  config: Config;
  name: string;
  log: Logger;
  metrics: Metrics;
  tracing: Tracing;
  broker: Broker;
  onBusy: (busy: boolean) => void;
  onBroken: (reason: string) => void;
}

function startUnit(
  filter: string,
  { config, name, log, metrics, tracing, broker, onBusy, onBroken }: Shared,
): Unit {
  const child = startChild({
    settings: {
      functions: [filter],
      functionsDir: config.functionsDir,
      storageUrl: config.storage.url,
      buckets: config.storage.buckets,
      https: config.https,
      limits: { ...config.limits, threads: threadsPerChild(config) },
      inputGraceMs: config.retry.inputGraceMs,
    },
    threads: threadsPerChild(config),
    maxTasks: config.child.maxTasks,
    maxMemoryBytes: Math.min(config.child.maxMemoryBytes, CHILD_MEMORY_SHARE * memoryLimit()),
    log,
    onBroken,
  });
  const worker = startWorker({
    filter,
    prefix: config.prefix,
    name,
    broker,
    child,
    metrics,
    tracing,
    log,
    taskTimeoutMs: config.timeouts.taskMs,
    retryDelaysMs: config.retry.delaysMs,
    crashLimit: config.retry.crashLimit,
    knownFilters: () => listFunctions(config.functionsDir),
    onBusy,
  });
  return { child, worker };
}

function threadsPerChild({ threads, functions }: Config): number {
  return threads ?? Math.max(1, Math.floor(cpuLimit() / functions.length));
}

function healthOf(broker: Broker, units: Unit[], stopping: AbortSignal): Health {
  let consumedAtMs = performance.now();
  return {
    wedged() {
      const { state } = broker;
      const consuming = units.every(({ worker }) => worker.consuming);
      if (consuming || state.consume !== 'connected' || state.lastError !== undefined || stopping.aborted)
        consumedAtMs = performance.now();
      if (performance.now() - consumedAtMs > CONSUMING_WEDGED_MS) return 'connected, but not consuming';
      const wedged = units.find(({ worker }) => worker.wedged);
      return wedged && `the task in hand of ${wedged.worker.filter} is long past its deadline`;
    },
    notReady() {
      if (stopping.aborted) return 'draining';
      const { state } = broker;
      if (state.consume !== 'connected' || state.publish !== 'connected')
        return `no connection to the broker${state.lastError ? `: ${state.lastError}` : ''}`;
      const idle = units.find(({ worker }) => !worker.consuming);
      if (idle !== undefined)
        return `not consuming the queue of ${idle.worker.filter}${state.lastError ? `: ${state.lastError}` : ''}`;
      const sick = units.find(({ child }) => !child.healthy);
      return sick && `the child process of ${sick.worker.filter} does not start`;
    },
  };
}

function observed(broker: Broker, units: Unit[]) {
  return {
    connected: () => broker.state.consume === 'connected' && broker.state.publish === 'connected',
    consuming: () => units.map(({ worker }) => ({ filter: worker.filter, consuming: worker.consuming })),
    childRestarts: () => units.reduce((sum, { child }) => sum + child.restarts, 0),
  };
}

/** Resolves when every queue is consumed, or when the worker is told to stop. */
function whenConsuming(broker: Broker, units: Unit[], stopping: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!stopping.aborted && !units.every(({ worker }) => worker.consuming)) return;
      clearInterval(timer);
      unsubscribe();
      resolve();
    };
    const unsubscribe = broker.onStateChange(check);
    const timer = setInterval(check, 5);
  });
}

/** SIGTERM or SIGINT: `promise` resolves at the first, `again` at the second. */
function stopSignal() {
  const first = Promise.withResolvers<void>();
  const again = Promise.withResolvers<void>();
  const abort = new AbortController();
  let firstMs = Number.POSITIVE_INFINITY;
  const onSignal = () => {
    // One Ctrl-C under npm arrives twice: from the terminal and from npm.
    if (abort.signal.aborted)
      return performance.now() - firstMs > SAME_SIGNAL_MS ? again.resolve() : undefined;
    firstMs = performance.now();
    abort.abort();
    first.resolve();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  let reason: string | undefined;
  return {
    promise: first.promise,
    again: again.promise,
    signal: abort.signal,
    /** Why the worker stops by itself, if it does. */
    reason: () => reason,
    broken(why: string) {
      reason ??= why;
      abort.abort();
      first.resolve();
    },
  };
}

/** Lets the tasks in hand finish; at the deadline, or at a second signal, gives them back. */
async function drain(units: Unit[], drainMs: number, again: Promise<void>, log: Logger): Promise<void> {
  log.info({ drain_ms: drainMs, busy: units.filter(({ worker }) => worker.busy).length }, 'draining');
  const drained = Promise.all(units.map(({ worker }) => worker.drain())).then(() => true);
  const deadline = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => deadline.resolve(false), drainMs);
  const inTime = await Promise.race([drained, deadline.promise, again.then(() => false)]);
  clearTimeout(timer);
  if (inTime) return;
  log.warn('not drained in time; giving the tasks in hand back');
  const given = Promise.all(units.map(({ worker }) => worker.giveBack()));
  // What cannot be given back now, the broker takes back itself when the connection closes.
  await Promise.race([given, sleep(GIVE_BACK_TIMEOUT_MS)]);
}
