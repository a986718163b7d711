/** One Darkroom under test: names of its own on a broker, a storage, its workers, and the ledger that watches it. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import {
  type Broker,
  type Delivery,
  openBroker,
  type PublishProperties,
} from '../../../runtime/amqp/broker.ts';
import { declareTopology, deleteTopology, inspectTopology, names } from '../../../runtime/amqp/topology.ts';
import { topologyOf } from '../../../runtime/cli/session.ts';
import { readConfig } from '../../../runtime/config.ts';
import { TASKS_FOLDER } from '../../../runtime/task/task-marker.ts';
import { uniqueName } from '../../support/rabbit.ts';
import { firstOf, type Ledger, openLedger, type Submission } from './ledger.ts';
import type { Outcome } from './scenario.ts';
import {
  bindQueue,
  consume,
  LEDGER_HEADER,
  type TaskEventBody,
  watchEvents,
  watchLetters,
  watchReplies,
} from './watch.ts';
import { type Crew, type CrewOptions, type Slot, startCrew } from './worker-processes.ts';

const BATCH = 500;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const QUIET_POLL_MS = 100;

export interface Assignment extends Submission {
  /** Sent as JSON, or as it is when it is a Buffer. */
  task: object;
  /** The queue; default: its first step's filter. */
  filter?: string;
  properties?: PublishProperties;
}

export interface Plant extends AsyncDisposable {
  prefix: string;
  folder: string;
  env: NodeJS.ProcessEnv;
  broker: Broker;
  ledger: Ledger;
  put(key: string, bytes: Uint8Array): Promise<void>;
  read(key: string): Promise<Buffer | undefined>;
  /** Enters the tasks in the ledger and publishes them until they are confirmed. */
  submit(assignments: Assignment[]): Promise<void>;
  /** Publishes without the ledger: a further copy. */
  repeat(assignment: Assignment): Promise<void>;
  crew(slots: Slot[], options?: Partial<Pick<CrewOptions, 'mayDie' | 'env'>>): Crew;
  /** Waits until every task has its outcome; gives up when none arrives for `stallMs`. */
  settled(stallMs?: number): Promise<void>;
  /** Waits until no task is in any queue but the dead letters'. */
  quiet(timeoutMs?: number): Promise<boolean>;
  /** Waits, ends the workers, and compares everything with the ledger. */
  finish(crew: Crew, stallMs?: number): Promise<Outcome>;
  /** Images between two steps that are still there: left to `darkroom sweep`. */
  leftovers(): Promise<number>;
  declare(): Promise<void>;
  /** Every event of one type from now on, such as `started`, once each unless Darkroom itself repeats it. */
  follow(type: string): Promise<TaskEventBody[]>;
  /** `look` at every message that an exchange gets from now on. */
  collect<T>(exchange: string, key: string, look: (delivery: Delivery) => T): Promise<T[]>;
}

export interface PlantOptions {
  amqpUrl: string;
  /** Laid over the environment of the workers. */
  env?: NodeJS.ProcessEnv;
  /** Where workers find the broker, when it is not where the ledger does. */
  workerAmqpUrl?: string;
  /** How to read a result. Default: from the folder. */
  read?: (key: string) => Promise<Buffer | undefined>;
  /** In place of a temporary folder. */
  storageFolder?: string;
  /**
   * Outcomes are told by replies, which name the message they belong to even where its task's id cannot be known
   * beforehand. Default: by events.
   */
  byReply?: boolean;
}

export async function openPlant(options: PlantOptions): Promise<Plant> {
  const prefix = uniqueName('chaos');
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-chaos-'));
  const storage = options.storageFolder ?? join(folder, 'storage');
  await Promise.all([mkdir(storage, { recursive: true }), mkdir(join(folder, 'logs'))]);
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    AMQP_URL: options.workerAmqpUrl ?? options.amqpUrl,
    DARKROOM_PREFIX: prefix,
    STORAGE_URL: pathToFileURL(storage).href,
    HTTP_PORT: '0',
    RETRY_DELAYS: '200ms,400ms,800ms,1600ms',
    INPUT_GRACE: '1s',
    ...options.env,
  };
  const config = readConfig(env);
  const broker = openBroker({ ...config.amqp, url: options.amqpUrl, name: `chaos ${prefix}`, log: SILENT });
  await broker.ready(AbortSignal.timeout(30_000));
  const declare = () => broker.withChannel((channel) => declareTopology(channel, topologyOf(config)));
  await declare();
  const ledger = openLedger();
  const queues = [await (options.byReply ? watchReplies : watchEvents)(broker, prefix, ledger)];
  await watchLetters(broker, prefix, ledger);
  const replyTo = options.byReply ? queues[0] : undefined;
  const crews = new Set<Crew>();

  const plant: Plant = {
    prefix,
    folder,
    env,
    broker,
    ledger,
    declare,
    async put(key, bytes) {
      await mkdir(dirname(join(storage, key)), { recursive: true });
      await writeFile(join(storage, key), bytes);
    },
    read: options.read ?? ((key) => readFile(join(storage, key)).catch(() => undefined)),
    async submit(assignments) {
      for (let start = 0; start < assignments.length; start += BATCH) {
        const batch = assignments.slice(start, start + BATCH);
        for (const { id, expect, bytes, key } of batch)
          ledger.submit({ id, ...(expect && { expect }), ...(bytes && { bytes }), ...(key && { key }) });
        await Promise.all(batch.map((assignment) => plant.repeat(assignment)));
      }
    },
    async repeat(assignment) {
      const request = messageOf(assignment, prefix, replyTo);
      for (;;) {
        try {
          return await broker.publish(request);
        } catch (error) {
          // Without a confirmation nobody knows; a publisher sends again, and so may make a repeat.
          if (error instanceof TypeError || error instanceof RangeError) throw error;
          await sleep(200);
        }
      }
    },
    crew(slots, crewOptions = {}) {
      const crew = startCrew({
        slots,
        logFolder: join(folder, 'logs'),
        ...crewOptions,
        env: { ...env, ...crewOptions.env },
      });
      crews.add(crew);
      return crew;
    },
    async settled(stallMs = 60_000) {
      let seen = ledger.arrivals;
      let sinceMs = performance.now();
      while (ledger.open > 0 && performance.now() - sinceMs < stallMs) {
        await sleep(QUIET_POLL_MS);
        if (ledger.arrivals === seen) continue;
        seen = ledger.arrivals;
        sinceMs = performance.now();
      }
    },
    async quiet(timeoutMs = 20_000) {
      const deadline = performance.now() + timeoutMs;
      while (performance.now() < deadline) {
        if ((await ready(broker, config)) === 0) return true;
        await sleep(QUIET_POLL_MS);
      }
      return false;
    },
    async finish(crew, stallMs) {
      await plant.settled(stallMs);
      const quiet = await plant.quiet();
      const codes = await crew.stop();
      const left = await ready(broker, config);
      // The last acknowledged letters and events are on their way to us.
      await sleep(300);
      const outcome = await ledger.audit(plant.read);
      if (!quiet || left > 0) outcome.faults.push(`${left} messages are left in the queues`);
      for (const code of codes)
        if (code !== 0) outcome.faults.push(`a worker ended with ${code} after SIGTERM`);
      outcome.unexplained += crew.deaths.length;
      outcome.faults.push(...firstOf(crew.deaths));
      return outcome;
    },
    async leftovers() {
      const tasks = join(storage, TASKS_FOLDER);
      const entries = await readdir(tasks, { recursive: true, withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isFile()).length;
    },
    follow: (type) =>
      plant.collect(
        names(prefix).events,
        `task.${type}`,
        ({ body }) => JSON.parse(body.toString()) as TaskEventBody,
      ),
    async collect(exchange, key, look) {
      const queue = await bindQueue(broker, prefix, exchange, [key]);
      queues.push(queue);
      const seen: ReturnType<typeof look>[] = [];
      await consume(broker, queue, (delivery) => {
        if (!delivery.redelivered) seen.push(look(delivery));
      });
      return seen;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...crews].map((crew) => crew.kill()));
      await broker.withChannel(async (channel) => {
        for (const queue of queues) await channel.deleteQueue(queue);
        await deleteTopology(channel, topologyOf(config));
      });
      await broker.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return plant;
}

function messageOf(
  { id, task, filter, properties }: Assignment,
  prefix: string,
  replyTo: string | undefined,
) {
  const first = (task as { steps?: { filter: string }[] }).steps?.[0]?.filter;
  return {
    exchange: names(prefix).exchange,
    routingKey: filter ?? first ?? 'none',
    body: Buffer.isBuffer(task) ? task : Buffer.from(JSON.stringify(task)),
    properties: {
      contentType: 'application/json',
      ...properties,
      ...(replyTo !== undefined && { replyTo, correlationId: id }),
      headers: { ...properties?.headers, [LEDGER_HEADER]: id },
    },
  };
}

/** Messages that wait in the queues of the filters and of the retries. */
async function ready(broker: Broker, config: ReturnType<typeof readConfig>): Promise<number> {
  const states = await inspectTopology(broker, topologyOf(config));
  states.delete(names(config.prefix).dead);
  return [...states.values()].reduce((sum, state) => sum + (state?.messages ?? 0), 0);
}
