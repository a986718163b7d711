/** The worker's composition root: one broker, a slot with its child process for each filter, probes, a clean end. */
import { hostname } from 'node:os';
import { type Broker, openBroker } from '../amqp/broker.ts';
import { closestName } from '../closest-name.ts';
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { listFunctions } from '../functions.ts';
import { createLog, type Logger } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { ProbeServer } from '../telemetry/probe-server.ts';
import { Tracing } from '../telemetry/tracing.ts';
import { cpuLimit } from './cgroup.ts';
import { childLimits } from './child-memory.ts';
import { ChildProcess } from './child-process.ts';
import { deletionCostOf } from './deletion-cost.ts';
import { Slot } from './slot.ts';
import { StopSignal } from './stop-signal.ts';
import type { StorageCheck } from './storage-check.ts';
import { Trust } from './trust.ts';
import { Worker } from './worker.ts';

const TELEMETRY_DELAY_MS = 1_000;

/**
 * Works until SIGTERM or SIGINT; resolves when drained.
 * @param parentPid ends with this process
 * @throws UserError for a filter that is not there, or limits that this container cannot keep to
 */
export async function runWorker(config: Config, parentPid?: number): Promise<void> {
  const filters = config.functions;
  checkFilters(filters, config.functionsDir);
  const limits = childLimits(config);
  const name = `${config.pod.name ?? hostname()}/${process.pid}`;
  const log = createLog(config.logLevel, { worker: name });
  const metrics = new Metrics();
  const tracing = new Tracing();
  const stop = new StopSignal(['SIGTERM', 'SIGINT'], parentPid);
  const deletionCost = deletionCostOf(config.pod, log);
  const broker = openBroker({ ...config.amqp, name: `darkroom ${filters.join(',')} ${name}`, log });
  const trust = trustOf(config, broker, log);
  const parts: Parts = {
    config,
    limits,
    name,
    log,
    metrics,
    tracing,
    broker,
    trust,
    onBusy: deletionCost && ((busy) => deletionCost.busy(busy)),
    stop,
  };
  const worker = new Worker(
    broker,
    filters.map((filter) => startSlot(filter, parts)),
    stop.signal,
  );
  const server = await ProbeServer.open(config.http, worker, metrics);
  log.info({ filters, port: server.port, threads: threadsPerChild(config) }, 'worker started');
  metrics.observe(worker);
  await Promise.race([worker.whenConsuming(), stop.requested]);
  if (!stop.signal.aborted) log.info({ filters, startup_ms: Math.round(performance.now()) }, 'consuming');
  // The telemetry SDK is large: the first tasks of a worker that was started for them go before it.
  const telemetry = setTimeout(() => void Promise.all([metrics.load(), tracing.load()]), TELEMETRY_DELAY_MS);

  await stop.requested;
  clearTimeout(telemetry);
  await worker.drain(stop.reason === undefined ? config.timeouts.drainMs : 0, stop.repeated, log);
  await broker.close();
  await worker.close();
  await Promise.all([server.close(), metrics.shutdown(), deletionCost?.stop()]);
  log.info('worker stopped');
  if (stop.reason !== undefined) throw new UserError(`The worker cannot work: ${stop.reason}`);
}

function checkFilters(filters: string[], functionsDir: string): void {
  const known = listFunctions(functionsDir);
  if (filters.length === 0)
    throw new UserError(
      `Say which filter to work on: darkroom worker FILTER…, or FUNCTION=FILTER. There are ${known.join(', ')}.`,
    );
  for (const filter of filters) {
    if (known.includes(filter)) continue;
    const near = closestName(filter, known);
    throw new UserError(
      `There is no filter "${filter}"${near === undefined ? '.' : `; did you mean "${near}"?`} There are ${known.join(', ')}.`,
    );
  }
}

interface Parts {
  config: Config;
  limits: ReturnType<typeof childLimits>;
  name: string;
  log: Logger;
  metrics: Metrics;
  tracing: Tracing;
  broker: Broker;
  trust: Trust;
  onBusy: ((busy: boolean) => void) | undefined;
  stop: StopSignal;
}

function startSlot(filter: string, { config, limits, stop, ...parts }: Parts): Slot {
  const threads = threadsPerChild(config);
  const child = new ChildProcess({
    settings: {
      functions: [filter],
      functionsDir: config.functionsDir,
      storageUrl: config.storage.url,
      buckets: config.storage.buckets,
      https: config.https,
      limits: { ...limits, threads },
      inputGraceMs: config.retry.inputGraceMs,
      storageCheck: storageCheckOf(config, filter),
    },
    threads,
    maxTasks: config.child.maxTasks,
    maxMemoryBytes: limits.memoryBytes,
    user: { uid: config.child.uid, gid: config.child.gid },
    isAlone: config.functions.length === 1,
    log: parts.log,
    onBroken: (reason) => stop.because(reason),
  });
  return new Slot({
    ...parts,
    filter,
    child,
    prefix: config.prefix,
    taskTimeoutMs: config.timeouts.taskMs,
    retryDelaysMs: config.retry.delaysMs,
    crashLimit: config.retry.crashLimit,
    knownFilters: () => listFunctions(config.functionsDir),
  });
}

/** One child is enough to tell. */
function storageCheckOf({ storage, functions }: Config, filter: string): StorageCheck | undefined {
  if (storage.requireConditionalWrites) return 'required';
  return filter === functions[0] ? 'told' : undefined;
}

function trustOf({ prefix, trustedUsers, replyQueues }: Config, broker: Broker, log: Logger): Trust {
  let ourUser = broker.state.user;
  broker.onStateChange(({ user }) => {
    ourUser = user;
  });
  const isOurUser = (userId: string) => userId === ourUser || trustedUsers.includes(userId);
  return new Trust({ prefix, isOurUser, replyQueues, log });
}

function threadsPerChild({ threads, functions }: Config): number {
  return threads ?? Math.max(1, Math.floor(cpuLimit() / functions.length));
}
