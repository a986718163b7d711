/** The slots of a worker: the first of each filter at once, the others when there is time for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../amqp/broker.ts';
import type { Config } from '../config.ts';
import { listFunctions } from '../functions.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { cpuLimit } from './cgroup.ts';
import type { childLimits } from './child-memory.ts';
import { ChildProcess } from './child-process.ts';
import type { Intakes } from './intake.ts';
import { Slot } from './slot.ts';
import type { StopSignal } from './stop-signal.ts';
import type { StorageCheck } from './storage-check.ts';
import type { Trust } from './trust.ts';
import type { Worker } from './worker.ts';

/** Of the time after which the broker takes a delivery back: what is left is for settling it. */
const DELIVERY_TIME_SHARE = 0.5;

/** A first task that takes longer shares the processor with the start of the other slots. */
const FIRST_TASK_MS = 1_000;

/** What all slots of a worker share. */
export interface SlotParts {
  config: Config;
  /** Of each filter. */
  slots: number;
  /** Of each child. */
  limits: ReturnType<typeof childLimits> & { threads: number };
  /** Of the worker. */
  name: string;
  log: Logger;
  metrics: Metrics;
  tracing: Tracing;
  broker: Broker;
  trust: Trust;
  intakes: Intakes;
  onBusy: ((busy: boolean) => void) | undefined;
  stop: StopSignal;
}

/** Processors for the image library in each child. */
export function threadsPerChild({ threads, functions }: Config, slots: number): number {
  return threads ?? Math.max(1, Math.floor(cpuLimit() / (functions.length * slots)));
}

/** One for each filter; `begun` resolves when their children are up and have done a task, or wait for one. */
export function startFirstSlots(parts: SlotParts): { slots: Slot[]; begun: Promise<unknown> } {
  const done = Promise.withResolvers<void>();
  const onBusy = (busy: boolean) => {
    parts.onBusy?.(busy);
    if (!busy) done.resolve();
  };
  const children = parts.config.functions.map((filter) => ({
    filter,
    child: startChildOf(filter, 1, parts),
  }));
  const up = Promise.all(children.map(({ child }) => child.whenReady()));
  return {
    slots: children.map(({ filter, child }) => startSlot(filter, 1, child, { ...parts, onBusy })),
    begun: up.then(() => Promise.race([done.promise, sleep(FIRST_TASK_MS, undefined, { ref: false })])),
  };
}

/**
 * Opens the second slot of each filter, then the third, each once its child is up: until then those that are there take
 * the tasks. The first task that a worker was started for has the processor for itself.
 */
export async function openOtherSlots(
  worker: Worker,
  firstHaveBegun: Promise<unknown>,
  parts: SlotParts,
): Promise<void> {
  const { config, slots, stop } = parts;
  await Promise.race([firstHaveBegun, stop.requested]);
  for (let number = 2; number <= slots; number++) {
    for (const filter of config.functions) {
      if (stop.signal.aborted) return;
      const child = startChildOf(filter, number, parts);
      await Promise.race([child.whenReady(), stop.requested]);
      if (stop.signal.aborted) return await child.close();
      worker.add(startSlot(filter, number, child, parts));
    }
  }
}

/** @param number from 1, within the filter */
function startSlot(
  filter: string,
  number: number,
  child: ChildProcess,
  { config, slots, ...parts }: SlotParts,
): Slot {
  return new Slot({
    ...parts,
    filter,
    child,
    log: logOf(number, slots, parts.log),
    prefix: config.prefix,
    taskTimeoutMs: config.timeouts.taskMs,
    carry: config.carry,
    deliveryTimeMs: DELIVERY_TIME_SHARE * config.timeouts.consumerMs,
    retryDelaysMs: config.retry.delaysMs,
    crashLimit: config.retry.crashLimit,
    hasNeighbours: config.functions.length * slots > 1,
    knownFilters: () => listFunctions(config.functionsDir),
  });
}

function startChildOf(
  filter: string,
  number: number,
  { config, slots, limits, log, stop }: SlotParts,
): ChildProcess {
  return new ChildProcess({
    settings: {
      functions: [filter],
      functionsDir: config.functionsDir,
      storageUrl: config.storage.url,
      buckets: config.storage.buckets,
      https: config.https,
      limits,
      inputGraceMs: config.retry.inputGraceMs,
      storageCheck: number === 1 ? storageCheckOf(config, filter) : undefined,
    },
    threads: limits.threads,
    maxTasks: config.child.maxTasks,
    maxMemoryBytes: limits.memoryBytes,
    user: { uid: config.child.uid, gid: config.child.gid },
    isAlone: config.functions.length * slots === 1,
    log: logOf(number, slots, log),
    onBroken: (reason) => stop.because(reason),
  });
}

function logOf(number: number, slots: number, log: Logger): Logger {
  return slots === 1 ? log : log.child({ slot: number });
}

/** One child is enough to tell. */
function storageCheckOf({ storage, functions }: Config, filter: string): StorageCheck | undefined {
  if (storage.requireConditionalWrites) return 'required';
  return filter === functions[0] ? 'told' : undefined;
}
