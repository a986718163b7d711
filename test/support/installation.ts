/** A Darkroom under test: its names on a broker, its storage, and the workers that are started for it. */
import { mkdtempSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Broker, type Delivery, openBroker, type PublishProperties } from '../../runtime/amqp/broker.ts';
import { inspectTopology, names } from '../../runtime/amqp/topology.ts';
import { browseQueue, type GotMessage } from '../../runtime/cli/browse-queue.ts';
import { declareAll, deleteAll, SILENT_LOG, topologyOf } from '../../runtime/cli/session.ts';
import { type Config, readConfig } from '../../runtime/config.ts';
import { asError, UserError } from '../../runtime/errors.ts';
import { redactUrl } from '../../runtime/redact.ts';
import { uniqueName } from './rabbit.ts';
import { type ProgramResult, runDarkroom } from './run-program.ts';
import { eventMessageOf, type TaskEventMessage } from './task-events.ts';
import { until } from './until.ts';
import { WorkerProcess } from './worker-process.ts';

/** A broker that has just been started may take its time. */
const CONNECT_TIMEOUT_MS = 30_000;
const WATCH_PREFETCH = 500;
/** The queues of a run that was killed go by themselves. */
const WATCH_EXPIRY_MS = 10 * 60_000;
const FINAL_KEYS = ['task.completed', 'task.failed'];

export interface InstallationOptions {
  /** Laid over the environment of workers and commands. */
  env?: NodeJS.ProcessEnv;
  /** This process's way to the broker. Default: AMQP_URL. */
  amqpUrl?: string;
  /** In place of a temporary folder. */
  storageFolder?: string;
  /** One that runs already, as the environment says: nothing of it is removed. Default: a new one. */
  existing?: boolean;
  /** What its prefix begins with. */
  word?: string;
}

export interface PublishOptions {
  /** The queue. Default: the first step's filter. */
  filter?: string;
  /** Whether a message that no queue takes is an error. */
  mandatory?: boolean;
  properties?: PublishProperties;
  /** Whose connection. Default: the installation's own. */
  by?: Broker;
}

/** A new installation with short delays, whose workers take one task at a time, and whose events are collected. */
export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const env = { RETRY_DELAYS: '200ms,400ms', INPUT_GRACE: '100ms', SLOTS: '1', ...options.env };
  const installation = new Installation({ ...options, env });
  await installation.open();
  await installation.collectEvents();
  return installation;
}

export class Installation implements AsyncDisposable {
  readonly env: NodeJS.ProcessEnv;
  readonly config: Config;
  readonly broker: Broker;
  readonly prefix: string;
  /** Its names on the broker. */
  readonly names: ReturnType<typeof names>;
  /** A folder of its own, in which the storage's is. */
  readonly home: string;
  readonly folder: string;
  /** Every event since {@link collectEvents}, in the order of arrival. */
  readonly events: TaskEventMessage[] = [];
  readonly #existing: boolean;
  readonly #workers = new Set<WorkerProcess>();
  readonly #watchQueues: string[] = [];
  #isOpen = false;

  /** Nothing is there before {@link open}. */
  constructor({ env = {}, amqpUrl, storageFolder, existing = false, word = 't' }: InstallationOptions = {}) {
    this.#existing = existing;
    this.home = mkdtempSync(join(tmpdir(), 'darkroom-installation-'));
    this.folder = storageFolder ?? join(this.home, 'storage');
    const own = {
      AMQP_URL: amqpUrl ?? process.env.AMQP_URL,
      DARKROOM_PREFIX: uniqueName(word),
      STORAGE_URL: pathToFileURL(this.folder).href,
      HTTP_PORT: '0',
    };
    this.env = { ...process.env, ...(!existing && own), ...env };
    this.config = readConfig(this.env);
    const { amqp, prefix } = this.config;
    this.prefix = prefix;
    this.names = names(prefix);
    const url = amqpUrl ?? amqp.url;
    this.broker = openBroker({ ...amqp, url, name: `test of ${prefix}`, log: SILENT_LOG });
  }

  /** Connects, and declares what is new. @throws UserError when the broker cannot be reached */
  async open(timeoutMs = CONNECT_TIMEOUT_MS): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    try {
      await this.broker.ready(AbortSignal.timeout(timeoutMs));
    } catch (error) {
      await this[Symbol.asyncDispose]();
      const words = `No connection to the broker at ${redactUrl(this.config.amqp.url)}: ${asError(error).message}`;
      throw new UserError(words, { cause: error });
    }
    this.#isOpen = true;
    if (!this.#existing) await this.declare();
  }

  /** What is declared already stays as it is, whatever its settings. */
  async declare(): Promise<void> {
    const queues = await inspectTopology(this.broker, topologyOf(this.config));
    if ([...queues.values()].includes(undefined)) await declareAll(this.broker, this.config);
  }

  /** A worker that consumes. */
  async worker(filters: string | string[], env: NodeJS.ProcessEnv = {}): Promise<WorkerProcess> {
    const worker = new WorkerProcess([filters].flat(), { ...this.env, ...env });
    this.#workers.add(worker);
    await worker.consuming();
    return worker;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await mkdir(dirname(join(this.folder, key)), { recursive: true });
    await writeFile(join(this.folder, key), bytes);
  }

  read(key: string): Promise<Buffer> {
    return readFile(join(this.folder, key));
  }

  /** Every file in the storage, relative, sorted. */
  async files(): Promise<string[]> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return files.map(({ parentPath, name }) => relative(this.folder, join(parentPath, name))).sort();
  }

  /** The task as JSON, or a body as it is. */
  async publish(
    task: object,
    { filter, mandatory = false, properties, by = this.broker }: PublishOptions = {},
  ): Promise<void> {
    const first = (task as { steps?: { filter: string }[] }).steps?.[0]?.filter;
    await by.publish({
      exchange: this.names.exchange,
      routingKey: filter ?? first ?? 'none',
      mandatory,
      body: Buffer.isBuffer(task) ? task : Buffer.from(JSON.stringify(task)),
      properties: { contentType: 'application/json', ...properties },
    });
  }

  /** The task's terminal event. */
  ended(id: string, timeoutMs?: number): Promise<TaskEventMessage> {
    const isEnd = ({ subject, key }: TaskEventMessage) => subject === id && FINAL_KEYS.includes(key);
    return until(() => this.events.find(isEnd), `the end of task ${id}`, timeoutMs);
  }

  async deadLetters(): Promise<GotMessage[]> {
    const letters: GotMessage[] = [];
    await browseQueue(this.broker, this.names.dead, async (message) => {
      letters.push(message);
      return 'keep';
    });
    return letters;
  }

  /** The first dead letter, once there is one. */
  deadLetter(): Promise<GotMessage> {
    return until(async () => (await this.deadLetters())[0], 'a dead letter');
  }

  /** Messages ready in a queue. */
  depth(queue: string): Promise<number> {
    return this.broker.withChannel(async (channel) => (await channel.checkQueue(queue)).messageCount);
  }

  darkroom(...args: string[]): Promise<ProgramResult> {
    return runDarkroom(args, this.env);
  }

  /** From now on, by a queue that costs the broker as little as can be, and ends with the connection. */
  async collectEvents(): Promise<void> {
    const ready = Promise.withResolvers<void>();
    const collecting = this.broker.withChannel(async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, this.names.events, 'task.#');
      await channel.consume(
        queue,
        (message) => message && this.events.push(eventMessageOf(message.fields.routingKey, message.content)),
        { noAck: true },
      );
      ready.resolve();
      await new Promise<never>(() => {});
    });
    collecting.catch(ready.reject);
    await ready.promise;
  }

  /**
   * `look` at each message that an exchange gets from now on, by a queue that outlives connections and brokers.
   * @param type a classic queue costs the broker less
   * @returns the queue's name
   */
  async watch(
    exchange: string,
    keys: readonly string[],
    look: (delivery: Delivery) => void,
    type: 'quorum' | 'classic' = 'quorum',
  ): Promise<string> {
    const queue = uniqueName(`${this.prefix}-seen`);
    const durable = { 'x-queue-type': type, 'x-expires': WATCH_EXPIRY_MS };
    await this.broker.withChannel(async (channel) => {
      await channel.assertQueue(queue, { durable: true, arguments: durable });
      for (const key of keys) await channel.bindQueue(queue, exchange, key);
    });
    this.#watchQueues.push(queue);
    await this.consume(queue, look);
    return queue;
  }

  /** Looks at each message of a queue, and takes it. */
  async consume(queue: string, look: (delivery: Delivery) => void): Promise<void> {
    const take = (delivery: Delivery) => {
      look(delivery);
      delivery.ack();
    };
    const consumer = this.broker.consume(queue, take, { prefetch: WATCH_PREFETCH });
    await until(() => consumer.consuming, `a consumer of ${queue}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.kill()));
    try {
      if (this.#isOpen) await this.#leaveBroker();
    } finally {
      await this.broker.close();
      await rm(this.home, { recursive: true, force: true });
    }
  }

  async #leaveBroker(): Promise<void> {
    await this.broker.withChannel(async (channel) => {
      for (const queue of this.#watchQueues) await channel.deleteQueue(queue);
    });
    if (!this.#existing) await deleteAll(this.broker, this.config);
  }
}
