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
import { pathName } from '../task/task-marker.ts';
import { EndWatch, type SubmittedTask, type TaskOutcome } from './end-watch.ts';
import { ReplyQueue } from './reply-queue.ts';
import { currentStep, readSubmissionRecord, writeSubmissionRecord } from './submission-record.ts';

/** Markers are polled too, because a broken connection can lose the reply. */
const MARKER_POLL_MS = 1_000;
const QUEUE_POLL_MS = 2_000;

/** What is to be done to a photo. */
export type TaskRequest = Pick<Task, 'steps' | 'output'> & { id?: string; priority?: number };

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
    const { body, task } = messageOf({
      id,
      input,
      steps,
      ...(Object.keys(output).length > 0 && { output }),
    });
    if (file !== undefined) await this.#storage.write(input, await readFile(file));
    await writeSubmissionRecord(this.#storage, id, steps);
    // Through the exchange, for whoever may write to the default one may write to every queue of the broker.
    await this.#broker.publish({
      exchange: names(this.#config.prefix).exchange,
      routingKey: steps[0]!.filter,
      body,
      properties: this.#propertiesOf(id, priority),
    });
    return { id, photo, input, bytes, task };
  }

  /** Resolves when the task has ended; `onWaiting` is called with what it waits for. */
  async outcome(
    submitted: SubmittedTask,
    onWaiting: (reason: string) => void = () => {},
    signal?: AbortSignal,
  ): Promise<TaskOutcome> {
    const done = new AbortController();
    void this.#watchQueue(submitted.id, onWaiting, done.signal);
    const { functionsDir } = this.#config;
    const watch = new EndWatch(this.#storage, submitted, functionsDir, onWaiting);
    const reply = this.#replies.reply(submitted.id).then(() => watch.tell());
    try {
      for (;;) {
        signal?.throwIfAborted();
        const outcome = await watch.look();
        if (outcome !== undefined) return outcome;
        await Promise.race([sleep(MARKER_POLL_MS), ...(watch.isTold ? [] : [reply])]);
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
    const record = await readSubmissionRecord(this.#storage, id);
    if (record === undefined || record === 'damaged') return undefined;
    const place = await currentStep(this.#storage, id, record);
    const queue = this.#queueOf(place.filter);
    const { messages, consumers } = await this.#broker.withChannel((channel) => inspectQueue(channel, queue));
    return consumers === 0
      ? `queued since ${place.since}: no worker consumes ${queue}`
      : `${messages} waiting in ${queue}, ${consumers} consumers`;
  }

  #queueOf(filter: string): string {
    return names(this.#config.prefix).queue(filter);
  }
}

/** A task's message, checked as the worker will. @throws Rejection */
function messageOf(task: { id: string; input: string; steps: Step[]; output?: Task['output'] }) {
  const body = Buffer.from(JSON.stringify(task));
  const message = { body, properties: { contentType: 'application/json' }, headers: {} };
  return { body, task: parseTask(message, task.steps[0]!.filter).task };
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
