/** Looks for one task's message where it can be looked for without harm: the dead letters and the retry queues. */
import type { Broker } from '../amqp/broker.ts';
import { inspectQueue, names, type QueueState } from '../amqp/topology.ts';
import type { Config } from '../config.ts';
import { asError } from '../errors.ts';
import { HEADERS, parseHop } from '../task/hop.ts';
import { type BrowseVerdict, browseQueue, type GotMessage } from './browse-queue.ts';
import type { DeadLetter } from './dead-letter.ts';
import { readLetter } from './dead-letters.ts';
import { ourUsers } from './session.ts';

/** What the broker tells of a task. */
export interface TaskSight {
  letter?: DeadLetter;
  retry?: RetrySight;
  /** Of the queue in which the task is due; `missing`: it is not declared. */
  queue?: QueueState | 'missing';
  /** What could not be looked at, in words. */
  faults: string[];
}

export interface RetrySight {
  step: number;
  /** Tries of the step that have failed. */
  attempt: number;
  /** How often the task was started again. */
  restarts: number;
  /** At most so long until the next try. */
  delayMs: number;
}

/** For each queue: enough for tens of thousands of messages. */
const LOOK_MS = 5_000;

/**
 * @param queue where the task is due, if that is known
 * @param generation letters of earlier generations are of no interest
 */
export async function searchBroker(
  broker: Broker,
  config: Config,
  { id, generation, queue }: { id: string; generation: number; queue?: string | undefined },
): Promise<TaskSight> {
  const sight: TaskSight = { faults: [] };
  const look = async (what: string, looking: () => Promise<Partial<TaskSight>>) => {
    try {
      Object.assign(sight, await looking());
    } catch (thrown) {
      sight.faults.push(`${what} cannot be looked at: ${asError(thrown).message}`);
    }
  };
  if (queue !== undefined)
    await look(`the queue ${queue}`, async () => ({ queue: await stateOf(broker, queue) }));
  await look('the dead letters', () => findLetter(broker, config, id, generation));
  if (sight.letter === undefined) await look('the retry queues', () => findRetry(broker, config, id));
  return sight;
}

async function stateOf(broker: Broker, queue: string): Promise<QueueState | 'missing'> {
  try {
    return await broker.withChannel((channel) => inspectQueue(channel, queue));
  } catch (error) {
    if ((error as { code?: number }).code === 404) return 'missing';
    throw error;
  }
}

async function findLetter(
  broker: Broker,
  config: Config,
  id: string,
  generation: number,
): Promise<Pick<TaskSight, 'letter'>> {
  const { prefix } = config;
  const queue = { broker, prefix, isOurUser: ourUsers(config, broker) };
  const letter = await findIn(broker, names(prefix).dead, (message) => {
    const found = readLetter(message, queue);
    // Of another task that bears the same id.
    if (found.id !== id || found.failure_type === 'task-id-reused') return undefined;
    return found.generation >= generation ? found : undefined;
  });
  return letter === undefined ? {} : { letter };
}

async function findRetry(
  broker: Broker,
  { prefix, retry: { delaysMs } }: Config,
  id: string,
): Promise<Pick<TaskSight, 'retry'>> {
  for (const delayMs of delaysMs) {
    const retry = await findIn(
      broker,
      names(prefix).retry(delayMs),
      ({ properties }): RetrySight | undefined => {
        const headers = (properties.headers ?? {}) as Record<string, unknown>;
        if (headers[HEADERS.id] !== id) return undefined;
        const { step, attempt, restarts } = parseHop(headers, {}, Date.now());
        return { step, attempt, restarts, delayMs };
      },
    );
    if (retry !== undefined) return { retry };
  }
  return {};
}

/** @throws Error when the queue is too long to be looked through, and nothing was found so far */
async function findIn<T>(
  broker: Broker,
  queue: string,
  match: (message: GotMessage) => T | undefined,
): Promise<T | undefined> {
  const deadlineMs = performance.now() + LOOK_MS;
  let found: T | undefined;
  let lookedAt = 0;
  let isLate = false;
  await browseQueue(broker, queue, async (message): Promise<BrowseVerdict> => {
    found = match(message);
    lookedAt++;
    isLate = performance.now() > deadlineMs;
    return found !== undefined || isLate ? 'stop' : 'keep';
  });
  if (found === undefined && isLate) throw new Error(`more than the first ${lookedAt} would take too long`);
  return found;
}
