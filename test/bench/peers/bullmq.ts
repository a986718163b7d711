/** BullMQ + sharp: the usual way to have images worked on in Node. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AskedProcess } from '../asked-process.ts';
import { Missing } from '../row.ts';
import type { Contestant } from '../turns.ts';
import { type RedisDurability, startRedis } from './redis.ts';

const WORKER = fileURLToPath(new URL('bullmq-worker.ts', import.meta.url));
const PACKAGE = new URL('../../../node_modules/bullmq/package.json', import.meta.url);
export const BULLMQ_QUEUE = 'photos';

export interface PhotoJob {
  source: string;
  target: string;
}

export interface BullmqOptions {
  photo: string;
  folder: string;
  /** `safe`: the least with which no result is lost, as Darkroom works: see {@link safely}. */
  durability: RedisDurability;
  atOnce: number;
}

export interface Bullmq extends Contestant {
  /** Of BullMQ and Redis, in words. */
  versions: string;
}

/**
 * A worker process, and a client that adds jobs and hears of their ends in this one. Counts images a second.
 *
 * As it comes, jobs run in the worker's own process and results are just written. Safe: in child processes, which a
 * hostile image can take down without harm to the others; results are synced, renamed and their folder synced; and
 * Redis syncs each change, so that a job counts as done only when a crash of the machine cannot undo it.
 */
export async function startBullmq(options: BullmqOptions): Promise<Bullmq | Missing> {
  await using stack = new AsyncDisposableStack();
  const redis = await startRedis(options.durability);
  if (redis instanceof Missing) return redis;
  stack.use(redis);
  const { durability, atOnce } = options;
  const worker = new AskedProcess(process.execPath, [WORKER, String(redis.port), durability, String(atOnce)]);
  stack.use(worker);
  await worker.next();
  const client = stack.use(await openClient(redis.port));
  let turns = 0;
  const kept = stack.move();
  return {
    versions: `BullMQ ${(JSON.parse(await readFile(PACKAGE, 'utf8')) as { version: string }).version}, Redis ${redis.version}`,
    run: (photos) => client.runAll(photos, options, ++turns),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openClient(port: number) {
  const [{ Queue, QueueEvents }, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')]);
  const connect = () => new Redis({ port, maxRetriesPerRequest: null });
  const connections = [connect(), connect()] as const;
  const queue = new Queue<PhotoJob>(BULLMQ_QUEUE, { connection: connections[0] });
  const events = new QueueEvents(BULLMQ_QUEUE, { connection: connections[1] });
  await events.waitUntilReady();
  return {
    async runAll(photos: number, { photo, folder }: BullmqOptions, turn: number): Promise<number> {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let done = 0;
      const onDone = () => ++done === photos && resolve();
      const onFailed = ({ failedReason }: { failedReason: string }) => reject(new Error(failedReason));
      events.on('completed', onDone).on('failed', onFailed);
      const start = performance.now();
      await queue.addBulk(
        Array.from({ length: photos }, (_, index) => ({
          name: 'photo',
          data: { source: photo, target: join(folder, `${turn}-${index}.jpg`) },
        })),
      );
      await promise;
      const rate = (photos * 1_000) / (performance.now() - start);
      events.off('completed', onDone).off('failed', onFailed);
      return rate;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([queue.close(), events.close()]);
      for (const connection of connections) connection.disconnect();
    },
  };
}
