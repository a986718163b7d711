/** A load test's view of an installation: it publishes, listens and counts as any outside user may. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PublishRefused, Unroutable } from '../../runtime/amqp/broker.ts';
import { inspectQueue } from '../../runtime/amqp/topology.ts';
import { eachDeadLetter } from '../../runtime/cli/dead-letters.ts';
import { ManagementClient } from '../../runtime/cli/management.ts';
import { openStorage } from '../../runtime/storage/open.ts';
import type { Storage } from '../../runtime/storage/storage.ts';
import { HEADERS } from '../../runtime/task/hop.ts';
import type { Step } from '../../runtime/task/task.ts';
import type { Installation } from '../support/installation.ts';
import { eventMessageOf } from '../support/task-events.ts';
import { EVENT_KEYS, type LoadLedger } from './load-ledger.ts';

/** What one filter's queue holds. NaN where nobody can say. */
export interface QueueCounts {
  /** Waiting, at this very moment. */
  ready: number;
  consumers: number;
  /** In work, and waiting, as the management API says: as old as the broker's last statistics. */
  unacked: number;
  reported: number;
}

export interface LoadNames {
  /** A name that no other run has. */
  run: string;
  /** Whose queues are counted. */
  filters: readonly string[];
}

const COUNTS_TIMEOUT_MS = 30_000;
const COUNTS_POLL_MS = 200;
const PUBLISH_AGAIN_MS = 200;
const PUBLISH_TIMEOUT_MS = 5 * 60_000;

export class LoadSite {
  /** RabbitMQ's version, where the management API answers. */
  readonly version: string | undefined;
  readonly #installation: Installation;
  readonly #storage: Storage;
  readonly #management: ManagementClient;
  readonly #folder: string;
  readonly #filters: readonly string[];

  /** @throws UserError when the storage cannot be used */
  static async open(installation: Installation, ledger: LoadLedger, load: LoadNames): Promise<LoadSite> {
    const { config, names } = installation;
    const storage = await openStorage(config.storage.url);
    const management = new ManagementClient(config.management);
    const version = await management.overview().then(
      ({ rabbitmqVersion }) => rabbitmqVersion,
      () => undefined,
    );
    const take = ({ routingKey, body }: { routingKey: string; body: Buffer }) =>
      ledger.take(eventMessageOf(routingKey, body), Date.now());
    await installation.watch(names.events, EVENT_KEYS, take, 'classic');
    return new LoadSite(installation, { storage, management, version, ...load });
  }

  constructor(
    installation: Installation,
    opened: LoadNames & { storage: Storage; management: ManagementClient; version: string | undefined },
  ) {
    this.version = opened.version;
    this.#installation = installation;
    this.#storage = opened.storage;
    this.#management = opened.management;
    this.#folder = `load/${opened.run}`;
    this.#filters = opened.filters;
  }

  /** Puts the photos where tasks can name them; gives each path's key. */
  async upload(photos: readonly string[]): Promise<Map<string, string>> {
    const keys = new Map<string, string>();
    for (const [index, photo] of photos.entries()) {
      const key = `${this.#folder}/photos/${index}-${basename(photo).replace(/[^A-Za-z0-9._-]/g, '_')}`;
      await this.#storage.write(key, await readFile(photo));
      keys.set(photo, key);
    }
    return keys;
  }

  /**
   * Resolves when the broker has confirmed; false when it refused the task for good. Without an answer it is sent
   * again, and after five minutes counts as sent: the ledger then shows what became of it.
   */
  async submit({ id, input, steps }: { id: string; input: string; steps: Step[] }): Promise<boolean> {
    const body = Buffer.from(JSON.stringify({ id, input, steps, output: { key: this.#resultKey(id) } }));
    // To the millisecond; AMQP's own timestamp has seconds only.
    const headers = { [HEADERS.published]: Date.now() };
    const properties = { contentType: 'application/json', messageId: id, headers };
    const { broker, names } = this.#installation;
    const to = { exchange: names.exchange, routingKey: steps[0]!.filter, mandatory: true };
    const deadlineMs = performance.now() + PUBLISH_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      try {
        await broker.publish({ ...to, body, properties });
        return true;
      } catch (error) {
        if (error instanceof PublishRefused || error instanceof Unroutable) return false;
        // Nobody knows whether it arrived. The same id is the same task, so sending again is safe.
        await sleep(PUBLISH_AGAIN_MS);
      }
    }
    return true;
  }

  /** By filter. */
  async counts(): Promise<Map<string, QueueCounts>> {
    const { names } = this.#installation;
    const counted = this.#filters.map(
      async (filter) => [filter, await this.#count(names.queue(filter))] as const,
    );
    return new Map(await Promise.all(counted));
  }

  /** Waiting and in work in the filters' queues and all retry queues together. */
  async total(): Promise<number> {
    const { names, config } = this.#installation;
    const queues = [...this.#filters.map(names.queue), ...config.retry.delaysMs.map(names.retry)];
    const all = await Promise.all(queues.map((queue) => this.#count(queue)));
    return all.reduce((sum, { ready, unacked }) => sum + (ready || 0) + (unacked || 0), 0);
  }

  /** @returns how many messages went */
  async purge(): Promise<number> {
    const { broker, names } = this.#installation;
    return await broker.withChannel(async (channel) => {
      let purged = 0;
      for (const filter of this.#filters)
        purged += (await channel.purgeQueue(names.queue(filter))).messageCount;
      return purged;
    });
  }

  /** Waits until the management API counts the queues. False where it cannot be reached. */
  async countsAreThere(): Promise<boolean> {
    const deadlineMs = performance.now() + COUNTS_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      const counts = await this.counts();
      if ([...counts.values()].every(({ reported }) => !Number.isNaN(reported))) return true;
      if (this.version === undefined) return false;
      await sleep(COUNTS_POLL_MS);
    }
    return false;
  }

  /** Enters the dead letters of this run's tasks. */
  async readDeadLetters(ledger: LoadLedger): Promise<void> {
    const { broker, prefix } = this.#installation;
    for (const { letter } of await eachDeadLetter({ broker, prefix }, {}))
      ledger.letter(letter.id, { type: letter.failure_type, reason: letter.reason });
  }

  /** Which of these completed tasks have no result in the storage. */
  async withoutResult(ids: Iterable<string>): Promise<string[]> {
    const there = new Set<string>();
    for await (const { key } of this.#storage.list(`${this.#folder}/results`)) there.add(key);
    return [...ids].filter((id) => !there.has(this.#resultKey(id)));
  }

  /** Removes the photos and the results. */
  async tidy(): Promise<void> {
    await this.#storage.removeAll(this.#folder);
  }

  #resultKey(id: string): string {
    return `${this.#folder}/results/${id}`;
  }

  /** AMQP tells what waits now; only the management API tells what is in work. */
  async #count(queue: string): Promise<QueueCounts> {
    const [live, report] = await Promise.all([
      this.#installation.broker.withChannel((channel) => inspectQueue(channel, queue)).catch(() => undefined),
      this.#management.queue(queue).catch(() => undefined),
    ]);
    return {
      ready: live?.messages ?? report?.ready ?? Number.NaN,
      consumers: live?.consumers ?? report?.consumers ?? Number.NaN,
      unacked: report?.unacked ?? Number.NaN,
      reported: report?.ready ?? Number.NaN,
    };
  }
}
