/** Celery + Pillow: the usual way to have images worked on in Python. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { AskedProcess } from '../asked-process.ts';
import { Missing } from '../row.ts';
import type { Contestant } from '../turns.ts';
import { startRedis } from './redis.ts';
import { runs, Service } from './service.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PYTHON = '/usr/bin/python3';
const MODULE = 'celery_photos';

export interface Celery extends Contestant {
  /** Of Celery, Pillow and Redis, in words. */
  versions: string;
}

/**
 * A worker with a process for each core and a client, with the same durability as Darkroom: acknowledged late, results
 * synced, and a Redis that syncs each change. Counts images a second.
 */
export async function startCelery(photo: string, folder: string): Promise<Celery | Missing> {
  if (!(await runs(PYTHON, '-c', 'import celery, redis, PIL')))
    return new Missing(
      `${PYTHON} has no Celery, redis or PIL (Debian, Ubuntu: apt-get install python3-celery python3-redis python3-pil)`,
    );
  const redis = await startRedis('safe');
  if (redis instanceof Missing) return redis;
  await using stack = new AsyncDisposableStack();
  stack.use(redis);
  const env = { REDIS_URL: redis.url, PYTHONPATH: HERE, PYTHONDONTWRITEBYTECODE: '1' };
  const pool = ['--pool', 'prefork', '--concurrency', String(availableParallelism()), '--loglevel', 'INFO'];
  const worker = stack.use(new Service(PYTHON, ['-m', 'celery', '-A', MODULE, 'worker', ...pool], env));
  await worker.saying(/ready\.$/);
  const client = new AskedProcess<{ ms: number }>(PYTHON, ['-m', MODULE, photo, folder], { env });
  stack.use(client);
  const versions = `${await client.next()}, Redis ${redis.version}`;
  const kept = stack.move();
  return {
    versions,
    run: async (photos) => (photos * 1_000) / (await client.ask(photos)).ms,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
