/** One Darkroom of a test's own: a prefix on the shared broker, a storage folder, real worker processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Broker, openBroker, type PublishProperties } from '../../runtime/amqp/broker.ts';
import { browseQueue, type GotMessage } from '../../runtime/amqp/browse-queue.ts';
import { declareTopology, deleteTopology, names } from '../../runtime/amqp/topology.ts';
import { topologyOf } from '../../runtime/cli/session.ts';
import { readConfig } from '../../runtime/config.ts';
import { openStorage } from '../../runtime/storage/open.ts';
import type { Storage } from '../../runtime/storage/storage.ts';
import { until } from './until.ts';

const LAUNCHER = fileURLToPath(new URL('../../runtime/cli/darkroom.mjs', import.meta.url));
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export interface InstallationOptions {
  /** Laid over the environment of workers and commands. */
  env?: Record<string, string>;
  /** Default: AMQP_URL. */
  amqpUrl?: string;
}

export interface WorkerHandle {
  process: ChildProcess;
  port: number;
  /** What it logged so far, oldest first. */
  logs: Record<string, unknown>[];
  /** The pid of the process that runs the filter. */
  childPid(): Promise<number>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** kill -9 of the parent alone; its child notices by itself. */
  kill(): Promise<void>;
  get(path: string): Promise<{ status: number; body: string }>;
}

export interface TaskEventMessage {
  key: string;
  id: string;
  type: string;
  subject: string;
  data: Record<string, unknown>;
  [attribute: string]: unknown;
}

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Installation extends AsyncDisposable {
  prefix: string;
  folder: string;
  env: NodeJS.ProcessEnv;
  broker: Broker;
  storage: Storage;
  /** Every event since the start, in the order of arrival. */
  events: TaskEventMessage[];
  worker(filters: string | string[], env?: Record<string, string>): Promise<WorkerHandle>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  read(key: string): Promise<Buffer>;
  /** Every file in the storage folder, relative, sorted. */
  files(): Promise<string[]>;
  /** To the queue of the first step's filter, or of `filter`. */
  publish(task: object, options?: { filter?: string; properties?: PublishProperties }): Promise<void>;
  /** The task's terminal event. */
  ended(id: string, timeoutMs?: number): Promise<TaskEventMessage>;
  deadLetters(): Promise<GotMessage[]>;
  /** The first dead letter, once there is one. */
  deadLetter(): Promise<GotMessage>;
  /** Messages ready in a queue. */
  depth(queue: string): Promise<number>;
  darkroom(...args: string[]): Promise<CommandResult>;
}

export async function startInstallation(options: InstallationOptions = {}): Promise<Installation> {
  const prefix = `t${randomBytes(5).toString('hex')}`;
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-installation-'));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    AMQP_URL: options.amqpUrl ?? process.env.AMQP_URL,
    DARKROOM_PREFIX: prefix,
    STORAGE_URL: pathToFileURL(folder).href,
    HTTP_PORT: '0',
    RETRY_DELAYS: '200ms,400ms',
    INPUT_GRACE: '100ms',
    ...options.env,
  };
  const config = readConfig(env);
  const broker = openBroker({ ...config.amqp, name: `test ${prefix}`, log: SILENT });
  await broker.ready(AbortSignal.timeout(15_000));
  await broker.withChannel((channel) => declareTopology(channel, topologyOf(config)));
  const at = names(prefix);
  const storage = await openStorage(env.STORAGE_URL);
  const workers = new Set<WorkerHandle>();
  const events = await collectEvents(broker, at.events);

  const installation: Installation = {
    prefix,
    folder,
    env,
    broker,
    storage,
    events,
    async worker(filters, extra = {}) {
      const handle = await startWorkerProcess([filters].flat(), { ...env, ...extra });
      workers.add(handle);
      return handle;
    },
    async put(key, bytes) {
      await mkdir(dirname(join(folder, key)), { recursive: true });
      await writeFile(join(folder, key), bytes);
    },
    read: (key) => readFile(join(folder, key)),
    async files() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .sort();
    },
    async publish(task, { filter, properties } = {}) {
      const first = (task as { steps?: { filter: string }[] }).steps?.[0]?.filter;
      const body = Buffer.isBuffer(task) ? task : Buffer.from(JSON.stringify(task));
      await broker.publish({
        exchange: at.exchange,
        routingKey: filter ?? first ?? 'none',
        body,
        properties: { contentType: 'application/json', ...properties },
      });
    },
    ended: (id, timeoutMs) =>
      until(
        () =>
          events.find(
            (event) =>
              event.subject === id &&
              /completed$|failed$/.test(event.key) &&
              event.key !== 'task.step-completed',
          ),
        `the end of task ${id}`,
        timeoutMs,
      ),
    async deadLetters() {
      const letters: GotMessage[] = [];
      await browseQueue(broker, at.dead, async (message) => {
        letters.push(message);
        return 'keep';
      });
      return letters;
    },
    deadLetter: () => until(async () => (await installation.deadLetters())[0], 'a dead letter'),
    depth: (queue) => broker.withChannel(async (channel) => (await channel.checkQueue(queue)).messageCount),
    darkroom: (...args) => runDarkroom(args, env),
    async [Symbol.asyncDispose]() {
      await Promise.all([...workers].map((worker) => worker.kill()));
      await broker.withChannel((channel) => deleteTopology(channel, topologyOf(config)));
      await broker.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return installation;
}

/** Runs `darkroom …` as a user would and collects what it says. */
export function runDarkroom(args: string[], env: NodeJS.ProcessEnv = process.env): Promise<CommandResult> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const result: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => {
    result.stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    result.stderr += text.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...result, code }));
  });
}

async function collectEvents(broker: Broker, exchange: string): Promise<TaskEventMessage[]> {
  const events: TaskEventMessage[] = [];
  const ready = Promise.withResolvers<void>();
  broker
    .withChannel(async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, exchange, 'task.#');
      await channel.consume(
        queue,
        (message) => {
          if (message !== null)
            events.push({ key: message.fields.routingKey, ...JSON.parse(message.content.toString()) });
        },
        { noAck: true },
      );
      ready.resolve();
      await new Promise<never>(() => {});
    })
    .catch(ready.reject);
  await ready.promise;
  return events;
}

async function startWorkerProcess(filters: string[], env: NodeJS.ProcessEnv): Promise<WorkerHandle> {
  const child = spawn(process.execPath, [LAUNCHER, 'worker', ...filters], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const logs: Record<string, unknown>[] = [];
  let errors = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  createInterface({ input: child.stdout }).on('line', (line) => logs.push(JSON.parse(line)));
  child.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  const handle: WorkerHandle = {
    process: child,
    port: 0,
    logs,
    async childPid() {
      const children = await until(
        async () =>
          (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim() || undefined,
        'the child process',
      );
      return Number(children.split(' ')[0]);
    },
    async stop() {
      child.kill('SIGTERM');
      return await exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${handle.port}${path}`);
      return { status: response.status, body: await response.text() };
    },
  };
  const started = await until(() => {
    if (child.exitCode !== null) throw new Error(`the worker ended with ${child.exitCode}: ${errors}`);
    return logs.some(({ msg }) => msg === 'consuming')
      ? logs.find(({ msg }) => msg === 'worker started')
      : undefined;
  }, 'a worker that consumes');
  handle.port = Number(started.port);
  return handle;
}
