/** Publishes tasks from this machine: upload, confirmed publish, and the wait for the outcome. */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import type { Broker, OutgoingMessage } from '../amqp/broker.ts';
import { inspectQueue, names } from '../amqp/topology.ts';
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { planTask } from '../image/pipeline.ts';
import type { Storage } from '../storage/storage.ts';
import { HEADERS } from '../task/hop.ts';
import { parseTask, type Step, type Task } from '../task/task.ts';
import { pathName, readLatestMarker, type TaskMarker } from '../task/task-marker.ts';
import { ReplyQueue } from './reply-queue.ts';
import { currentStep, writeSubmissionRecord } from './submission-record.ts';

/** Markers are polled too, because a broken connection can lose the reply. */
const MARKER_POLL_MS = 1_000;
const QUEUE_POLL_MS = 2_000;

/** What is to be done to a photo. */
export type TaskRequest = Pick<Task, 'steps' | 'output'> & { id?: string; priority?: number };

export interface SubmittedTask {
  id: string;
  photo: string;
  input: string;
  bytes: number | null;
  /** Tells this task from another with the same id. */
  fingerprint: string;
}

export interface TaskOutcome extends Omit<SubmittedTask, 'fingerprint'> {
  outcome: TaskMarker['outcome'];
  /** What the final event says. */
  data: Record<string, unknown>;
}

/** What a completed task's final event says of its result. */
export interface TaskResult {
  key: string;
  format: string;
  bytes: number;
  width?: number;
  height?: number;
  json?: unknown;
}

export function resultOf({ data }: Pick<TaskOutcome, 'data'>): TaskResult | undefined {
  return data.output as TaskResult | undefined;
}

export class TaskClient {
  readonly #broker: Broker;
  readonly #storage: Storage;
  readonly #config: Config;
  readonly #replies: ReplyQueue;

  static async open(broker: Broker, storage: Storage, config: Config): Promise<TaskClient> {
    return new TaskClient(broker, storage, config, await ReplyQueue.open(broker));
  }

  constructor(broker: Broker, storage: Storage, config: Config, replies: ReplyQueue) {
    this.#broker = broker;
    this.#storage = storage;
    this.#config = config;
    this.#replies = replies;
  }

  /** Uploads the photo (unless it names something in storage) and publishes its task; resolves when confirmed. */
  async submit(photo: string, request: TaskRequest): Promise<SubmittedTask> {
    const { steps, output, id = uuid(), priority } = request;
    await planTask({ steps, output }, this.#config.functionsDir);
    const { input, bytes, file } = await locate(photo, id, this.#storage);
    const { body, fingerprint } = messageOf({
      id,
      input,
      steps,
      ...(Object.keys(output).length > 0 && { output }),
    });
    if (file !== undefined) await this.#storage.write(input, await readFile(file));
    await writeSubmissionRecord(this.#storage, id, steps);
    await this.#broker.publish({
      exchange: '',
      routingKey: this.#queueOf(steps[0]!.filter),
      mandatory: true,
      body,
      properties: this.#propertiesOf(id, priority),
    });
    return { id, photo, input, bytes, fingerprint };
  }

  /** Resolves when the task has ended; `onWaiting` is called with what it waits for. */
  async outcome(
    submitted: SubmittedTask,
    onWaiting: (reason: string) => void = () => {},
    signal?: AbortSignal,
  ): Promise<TaskOutcome> {
    const { fingerprint, ...shown } = submitted;
    const reply = this.#replies.reply(submitted.id);
    const done = new AbortController();
    void this.#watchQueue(submitted.id, onWaiting, done.signal);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const marker = await readLatestMarker(this.#storage, submitted.id);
        if (marker !== undefined) return { ...shown, ...outcomeOf(marker, fingerprint) };
        await Promise.race([reply, sleep(MARKER_POLL_MS)]);
      }
    } finally {
      done.abort();
      this.#replies.forget(submitted.id);
    }
  }

  #propertiesOf(id: string, priority: number | undefined): OutgoingMessage['properties'] {
    return {
      contentType: 'application/json',
      messageId: id,
      correlationId: id,
      replyTo: this.#replies.name,
      timestamp: Math.floor(Date.now() / 1_000),
      ...(priority !== undefined && { priority }),
      headers: { [HEADERS.published]: Date.now(), [HEADERS.recorded]: true },
    };
  }

  /** Says what the task waits for, such as a worker that is not there. */
  async #watchQueue(id: string, onWaiting: (reason: string) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(QUEUE_POLL_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // Without an explanation the wait goes on all the same.
      const explanation = await this.#explainWait(id).catch(() => undefined);
      if (explanation !== undefined) onWaiting(explanation);
    }
  }

  async #explainWait(id: string): Promise<string | undefined> {
    const place = await currentStep(this.#storage, id);
    if (place === undefined) return undefined;
    const queue = this.#queueOf(place.filter);
    const { messages, consumers } = await this.#broker.withChannel((channel) => inspectQueue(channel, queue));
    return consumers === 0
      ? `queued since ${place.since}: no worker consumes ${queue}`
      : `${messages} waiting in ${queue}, ${consumers} workers`;
  }

  #queueOf(filter: string): string {
    return names(this.#config.prefix).queue(filter);
  }
}

/** A task's message, checked as the worker will. @throws Rejection */
function messageOf(task: { id: string; input: string; steps: Step[]; output?: Task['output'] }) {
  const body = Buffer.from(JSON.stringify(task));
  const message = { body, properties: { contentType: 'application/json' }, headers: {} };
  return { body, fingerprint: parseTask(message, task.steps[0]!.filter).task.fingerprint };
}

/** An id ends once: another task with the same id has failed, however the first one ended. */
function outcomeOf(marker: TaskMarker, fingerprint: string): Pick<TaskOutcome, 'outcome' | 'data'> {
  // A cancellation does not know the task that it cancels.
  if (marker.fingerprint === '' || marker.fingerprint === fingerprint)
    return { outcome: marker.outcome, data: marker.data };
  const reason = `The id ${JSON.stringify(marker.task_id)} belongs to another task, which ended (${marker.outcome}) at ${marker.time}; expected an id of its own.`;
  return { outcome: 'failed', data: { failure_type: 'task-id-reused', failure_reason: reason } };
}

/** Where the task finds the photo; `file` has to be uploaded there first. */
async function locate(
  photo: string,
  id: string,
  storage: Storage,
): Promise<{ input: string; bytes: number | null; file?: string }> {
  if (/^(s3|https):\/\//.test(photo)) return { input: photo, bytes: null };
  const local = await stat(photo).catch(() => undefined);
  if (local?.isFile()) {
    const input = `in/${pathName(id)}/${basename(photo).replace(/[^A-Za-z0-9._-]/g, '_')}`;
    return { input, bytes: local.size, file: photo };
  }
  const stored = await storage.stat(photo).catch(() => undefined);
  if (stored === undefined)
    throw new UserError(`${photo}: neither a file here nor a key in the storage ${storage.url}.`);
  return { input: photo, bytes: stored.bytes };
}
