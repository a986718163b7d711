/** A load test's view of the broker and the storage: it publishes, listens and counts as any outside user may. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Broker, openBroker, PublishRefused, Unroutable } from '../../runtime/amqp/broker.ts';
import { inspectQueue, inspectTopology, names } from '../../runtime/amqp/topology.ts';
import { eachDeadLetter } from '../../runtime/cli/dead-letters.ts';
import { ManagementClient } from '../../runtime/cli/management.ts';
import { declareAll, topologyOf } from '../../runtime/cli/session.ts';
import { type Config, readConfig } from '../../runtime/config.ts';
import { asError, UserError } from '../../runtime/errors.ts';
import { redactUrl } from '../../runtime/redact.ts';
import { openStorage } from '../../runtime/storage/open.ts';
import type { Storage } from '../../runtime/storage/storage.ts';
import { HEADERS } from '../../runtime/task/hop.ts';
import type { Step } from '../../runtime/task/task.ts';
import type { Ledger, LoadEvent } from './ledger.ts';

/** What one filter's queue holds. NaN where nobody can say. */
export interface QueueCounts {
  /** Waiting, at this very moment. */
  ready: number;
  consumers: number;
  /** In work, and waiting, as the management API says: as old as the broker's last statistics. */
  unacked: number;
  reported: number;
}

export interface Site extends AsyncDisposable {
  prefix: string;
  /** RabbitMQ's version, where the management API answers. */
  version: string | undefined;
  /** Puts the photos where tasks can name them; gives each path's key. */
  upload(photos: readonly string[]): Promise<Map<string, string>>;
  /**
   * Resolves when the broker has confirmed; false when it refused the task for good. Without an answer it is sent
   * again, and after five minutes counts as sent: the ledger then shows what became of it.
   */
  submit(task: { id: string; input: string; steps: Step[] }): Promise<boolean>;
  counts(filters: readonly string[]): Promise<Map<string, QueueCounts>>;
  /** Waiting and in work in the filters' queues and all retry queues together. */
  total(filters: readonly string[]): Promise<number>;
  /** @returns how many messages went */
  purge(filters: readonly string[]): Promise<number>;
  /** Waits until the management API counts the queues. False where it cannot be reached. */
  countsAreThere(filters: readonly string[]): Promise<boolean>;
  /** Enters the dead letters of this run's tasks. */
  readDeadLetters(ledger: Ledger): Promise<void>;
  /** Which of these completed tasks have no result in the storage. */
  withoutResult(ids: Iterable<string>): Promise<string[]>;
  /** Removes the photos and the results. */
  tidy(): Promise<void>;
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const COUNTS_TIMEOUT_MS = 30_000;
const COUNTS_POLL_MS = 200;
const PUBLISH_AGAIN_MS = 200;
const PUBLISH_TIMEOUT_MS = 5 * 60_000;
/** An aborted run's event queue goes by itself after so long. */
const EVENT_QUEUE_EXPIRY_MS = 10 * 60_000;
const EVENT_PREFETCH = 500;
const EVENT_KEYS = ['task.started', 'task.retrying', 'task.completed', 'task.failed'];

/** @param run a name that no other run has @throws UserError when the broker or the storage cannot be used */
export async function openSite(env: NodeJS.ProcessEnv, run: string, ledger: Ledger): Promise<Site> {
  const config = readConfig(env);
  const storage = await openStorage(config.storage.url);
  const broker = await connected(config);
  const at = names(config.prefix);
  const api = new ManagementClient(config.management);
  const folder = `load/${run}`;
  const resultKey = (id: string) => `${folder}/results/${id}`;
  await declareMissing(broker, config);
  const eventQueue = `${config.prefix}.${run}`;
  await listen(broker, eventQueue, at.events, ledger);

  const site: Site = {
    prefix: config.prefix,
    version: await api.overview().then(
      ({ rabbitmqVersion }) => rabbitmqVersion,
      () => undefined,
    ),
    upload: (photos) => upload(storage, folder, photos),
    async submit({ id, input, steps }) {
      const body = Buffer.from(JSON.stringify({ id, input, steps, output: { key: resultKey(id) } }));
      const properties = {
        contentType: 'application/json',
        messageId: id,
        // To the millisecond; AMQP's own timestamp has seconds only.
        headers: { [HEADERS.published]: Date.now() },
      };
      const routingKey = (steps[0] as Step).filter;
      const deadlineMs = performance.now() + PUBLISH_TIMEOUT_MS;
      while (performance.now() < deadlineMs) {
        try {
          await broker.publish({ exchange: at.exchange, routingKey, mandatory: true, body, properties });
          return true;
        } catch (error) {
          if (error instanceof PublishRefused || error instanceof Unroutable) return false;
          // Nobody knows whether it arrived. The same id is the same task, so sending again is safe.
          await sleep(PUBLISH_AGAIN_MS);
        }
      }
      return true;
    },
    async counts(filters) {
      const counted = filters.map(
        async (filter) => [filter, await countQueue(broker, api, at.queue(filter))] as const,
      );
      return new Map(await Promise.all(counted));
    },
    async total(filters) {
      const retries = config.retry.delaysMs.map(at.retry);
      const all = [...filters.map(at.queue), ...retries].map((queue) => countQueue(broker, api, queue));
      return (await Promise.all(all)).reduce(
        (sum, { ready, unacked }) => sum + known(ready) + known(unacked),
        0,
      );
    },
    purge: (filters) =>
      broker.withChannel(async (channel) => {
        let purged = 0;
        for (const filter of filters) purged += (await channel.purgeQueue(at.queue(filter))).messageCount;
        return purged;
      }),
    async countsAreThere(filters) {
      const deadlineMs = performance.now() + COUNTS_TIMEOUT_MS;
      while (performance.now() < deadlineMs) {
        const counts = await site.counts(filters);
        if ([...counts.values()].every(({ reported }) => !Number.isNaN(reported))) return true;
        if (site.version === undefined) return false;
        await sleep(COUNTS_POLL_MS);
      }
      return false;
    },
    async readDeadLetters(into) {
      const letters = await eachDeadLetter(broker, config.prefix, {});
      for (const { id, failure_type: type, reason } of letters) into.deadLetter(id, { type, reason });
    },
    async withoutResult(ids) {
      const there = new Set<string>();
      for await (const { key } of storage.list(`${folder}/results`)) there.add(key);
      return [...ids].filter((id) => !there.has(resultKey(id)));
    },
    tidy: () => storage.removeAll(folder),
    async [Symbol.asyncDispose]() {
      await broker.withChannel((channel) => channel.deleteQueue(eventQueue)).catch(() => {}); // It expires.
      await broker.close();
    },
  };
  return site;
}

async function connected(config: Config): Promise<Broker> {
  const broker = openBroker({ ...config.amqp, name: `darkroom load ${process.pid}`, log: SILENT });
  try {
    await broker.ready(AbortSignal.timeout(config.amqp.connectTimeoutMs));
    return broker;
  } catch (error) {
    await broker.close();
    throw new UserError(
      `No connection to the broker at ${redactUrl(config.amqp.url)}: ${asError(error).message}`,
      { cause: error },
    );
  }
}

/** What is declared already stays as it is, whatever its settings: they may be others than this machine's. */
async function declareMissing(broker: Broker, config: Config): Promise<void> {
  const queues = await inspectTopology(broker, topologyOf(config));
  if ([...queues.values()].includes(undefined)) await declareAll(broker, config);
}

/** A queue of the run's own for its events. Durable, so that a broken connection loses none. */
async function listen(broker: Broker, queue: string, exchange: string, ledger: Ledger): Promise<void> {
  await broker.withChannel(async (channel) => {
    await channel.assertQueue(queue, {
      durable: true,
      arguments: { 'x-queue-type': 'classic', 'x-expires': EVENT_QUEUE_EXPIRY_MS },
    });
    for (const key of EVENT_KEYS) await channel.bindQueue(queue, exchange, key);
  });
  const take = (body: Buffer, key: string) => {
    const event = JSON.parse(body.toString()) as Omit<LoadEvent, 'key'>;
    ledger.event({ ...event, key }, Date.now());
  };
  broker.consume(
    queue,
    (delivery) => {
      take(delivery.body, delivery.routingKey);
      delivery.ack();
    },
    { prefetch: EVENT_PREFETCH },
  );
}

async function upload(
  storage: Storage,
  folder: string,
  photos: readonly string[],
): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  for (const [index, photo] of photos.entries()) {
    const key = `${folder}/photos/${index}-${basename(photo).replace(/[^A-Za-z0-9._-]/g, '_')}`;
    await storage.write(key, await readFile(photo));
    keys.set(photo, key);
  }
  return keys;
}

/** AMQP tells what waits now; only the management API tells what is in work. */
async function countQueue(broker: Broker, api: ManagementClient, queue: string): Promise<QueueCounts> {
  const [live, report] = await Promise.all([
    broker.withChannel((channel) => inspectQueue(channel, queue)).catch(() => undefined),
    api.queue(queue).catch(() => undefined),
  ]);
  return {
    ready: live?.messages ?? report?.ready ?? Number.NaN,
    consumers: live?.consumers ?? report?.consumers ?? Number.NaN,
    unacked: report?.unacked ?? Number.NaN,
    reported: report?.ready ?? Number.NaN,
  };
}

function known(count: number): number {
  return Number.isNaN(count) ? 0 : count;
}
