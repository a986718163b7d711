/** The worker's composition root: one broker, slots with their child processes for each filter, probes, a clean end. */
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
import { childLimits, slotsPerFilter } from './child-memory.ts';
import { deletionCostOf } from './deletion-cost.ts';
import { Intakes } from './intake.ts';
import { openOtherSlots, type SlotParts, startFirstSlots, threadsPerChild } from './start-slots.ts';
import { StopSignal } from './stop-signal.ts';
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
  const slots = slotsPerFilter(config);
  const limits = { ...childLimits(config), threads: threadsPerChild(config, slots) };
  const name = `${config.pod.name ?? hostname()}/${process.pid}`;
  const log = createLog(config.logLevel, { worker: name });
  const metrics = new Metrics();
  const tracing = new Tracing();
  const stop = new StopSignal(['SIGTERM', 'SIGINT'], parentPid);
  const deletionCost = deletionCostOf(config.pod, log);
  const broker = openBroker({ ...config.amqp, name: `darkroom ${filters.join(',')} ${name}`, log });
  const trust = trustOf(config, broker, log);
  const parts: SlotParts = {
    config,
    slots,
    limits,
    name,
    log,
    metrics,
    tracing,
    broker,
    trust,
    intakes: new Intakes(),
    onBusy: deletionCost && ((busy) => deletionCost.busy(busy)),
    stop,
  };
  const first = startFirstSlots(parts);
  const worker = new Worker(broker, first.slots, stop.signal);
  const server = await ProbeServer.open(config.http, worker, metrics);
  log.info({ filters, port: server.port, slots, threads: limits.threads }, 'worker started');
  metrics.observe(worker);
  await Promise.race([worker.whenConsuming(), stop.requested]);
  if (!stop.signal.aborted) log.info({ filters, startup_ms: Math.round(performance.now()) }, 'consuming');
  const opening = openOtherSlots(worker, first.begun, parts);
  // The telemetry SDK is large: the first tasks of a worker that was started for them go before it.
  const telemetry = setTimeout(() => void Promise.all([metrics.load(), tracing.load()]), TELEMETRY_DELAY_MS);

  await stop.requested;
  clearTimeout(telemetry);
  await opening;
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

function trustOf({ prefix, trustedUsers, replyQueues }: Config, broker: Broker, log: Logger): Trust {
  let ourUser = broker.state.user;
  broker.onStateChange(({ user }) => {
    ourUser = user;
  });
  const isOurUser = (userId: string) => userId === ourUser || trustedUsers.includes(userId);
  return new Trust({ prefix, isOurUser, replyQueues, log });
}
