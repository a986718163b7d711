/**
 * Tries a dead task again. What a letter says of where its task stands is taken over only when one of our own users wrote
 * it; else the task starts afresh. Either way it runs under a generation that has not failed yet, for workers only repeat
 * the end of one that has.
 */
import type { Broker, PublishRequest } from '../amqp/broker.ts';
import { names } from '../amqp/topology.ts';
import { asError } from '../errors.ts';
import type { Storage } from '../storage/storage.ts';
import { HEADERS, type Hop, hopHeaders, withoutHopHeaders } from '../task/hop.ts';
import type { Task } from '../task/task.ts';
import { type TaskMarker, writeMarker } from '../task/task-marker.ts';
import { carriedProperties } from '../worker/messages.ts';
import type { GotMessage } from './browse-queue.ts';
import { type DeadLetter, NO_ID, taskOf } from './dead-letter.ts';
import { removeSubmissionRecord, writeSubmissionRecord } from './submission-record.ts';
import { endOf, isEndOf } from './task-standing.ts';

export interface ReplayOptions {
  prefix: string;
  storage: Storage;
  functionsDir: string;
  knownFilters: string[];
}

export interface Replay {
  task: Task;
  generation: number;
  message: PublishRequest;
  /** Whether workers have to believe whoever sends it: else they take it for a repeat, or start from the first step. */
  needsTrust: boolean;
  /** The end of the generation before, where the letter tells of it and the storage does not. */
  earlierEnd?: TaskMarker;
}

/** @throws Error in words when it cannot be replayed */
export async function planReplay(
  letter: DeadLetter,
  message: GotMessage,
  options: ReplayOptions,
): Promise<Replay> {
  const { task, hop } = readTask(letter, message);
  const { filter } = task.steps[hop.step]!;
  if (!options.knownFilters.includes(filter)) throw new Error(`there is no filter "${filter}" to send it to`);
  const { generation, earlierEnd } = await nextGeneration(letter, task, hop, options);
  const needsTrust = generation > 0 || hop.step > 0;
  const again: Hop = { ...hop, ...FRESH, generation, publishedMs: Date.now() };
  const headers = {
    ...(needsTrust && hopHeaders(task, again)),
    [HEADERS.published]: again.publishedMs,
    [HEADERS.recorded]: true,
    'darkroom-replayed-from': `${letter.failed_at ?? 'unknown time'}: ${letter.failure_type}`,
  };
  return {
    task,
    generation,
    needsTrust,
    message: {
      exchange: '',
      routingKey: names(options.prefix).queue(filter),
      mandatory: true,
      body: message.body,
      properties: propertiesOf(message, headers),
    },
    ...(earlierEnd !== undefined && { earlierEnd }),
  };
}

/** What a new try starts without. */
const FRESH = {
  attempt: 0,
  restarts: 0,
  wasGivenBack: false,
  isSuspect: false,
  seenMs: null,
  firstFailedMs: null,
};

/** Resolves when the broker has confirmed. The letter may then go. */
export async function sendReplay(replay: Replay, broker: Broker, storage: Storage): Promise<void> {
  const { task, generation, message, earlierEnd } = replay;
  if (task.id === NO_ID) return await broker.publish(message);
  if (earlierEnd !== undefined) await writeMarker(storage, earlierEnd);
  await writeSubmissionRecord(storage, task.id, task.steps, generation);
  try {
    await broker.publish(message);
  } catch (error) {
    await removeSubmissionRecord(storage, task.id);
    throw error;
  }
}

function readTask(letter: DeadLetter, message: GotMessage): { task: Task; hop: Hop } {
  try {
    return taskOf(message, letter);
  } catch (thrown) {
    const hint =
      !letter.believed && letter.of_worker && letter.user !== null
        ? ` Perhaps its headers say more: they are believed here when TRUSTED_USERS names "${letter.user}".`
        : '';
    throw new Error(`it is no task that a worker could read: ${asError(thrown).message}${hint}`, {
      cause: thrown,
    });
  }
}

/** The first generation that has not failed, from that of the letter on. */
async function nextGeneration(
  letter: DeadLetter,
  task: Task,
  hop: Hop,
  { storage, functionsDir }: ReplayOptions,
): Promise<{ generation: number; earlierEnd?: TaskMarker }> {
  if (task.id === NO_ID) return { generation: 0 };
  const end = await endOf(storage, task.id, hop.generation);
  const hasFailed = letter.believed && letter.of_worker && letter.failure_type !== 'task-id-reused';
  const earlierEnd = hasFailed && end?.marker === undefined ? failureOf(letter, task, hop) : undefined;
  let generation = earlierEnd === undefined ? hop.generation : hop.generation + 1;
  for (;;) {
    const marker = (await endOf(storage, task.id, generation))?.marker;
    if (marker?.outcome !== 'failed' || !(await isEndOf(marker, task, functionsDir)))
      return { generation, ...(earlierEnd !== undefined && { earlierEnd }) };
    generation++;
  }
}

/** A worker marks a task as failed before it writes the letter; the marker has been lost or swept away since. */
function failureOf(letter: DeadLetter, task: Task, hop: Hop): TaskMarker {
  return {
    task_id: task.id,
    generation: hop.generation,
    fingerprint: task.fingerprint,
    outcome: 'failed',
    time: letter.failed_at ?? new Date().toISOString(),
    data: {
      step: hop.step,
      failure_type: letter.failure_type,
      failure_reason: letter.reason,
      attempts: letter.attempts,
      worker: letter.worker,
    },
  };
}

/** Without what was meant for the hop before, such as `CC`, by which the broker would route it on in our name. */
function propertiesOf({ body, properties }: GotMessage, ours: Record<string, unknown>) {
  const headers = withoutHopHeaders((properties.headers ?? {}) as Record<string, unknown>);
  const carried = carriedProperties({ body, properties, headers });
  return { ...carried, headers: { ...carried.headers, ...ours } };
}
