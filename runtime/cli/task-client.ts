/** Publishes tasks from this machine: upload, confirmed publish, and the wait for the outcome. */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import type { Broker } from '../amqp/broker.ts';
import { inspectQueue, names } from '../amqp/topology.ts';
import type { Config } from '../config.ts';
import { UserError } from '../errors.ts';
import { planTask } from '../image/pipeline.ts';
import type { Storage } from '../storage/storage.ts';
import { HEADERS, parseTask, type Step, type Task } from '../task/task.ts';
import { intermediatesFolder, pathName, readLatestMarker, type TaskMarker } from '../task/task-marker.ts';

/** Looked at beside the reply, which a broken connection can lose. */
const MARKER_POLL_MS = 1_000;
const QUEUE_POLL_MS = 2_000;

export interface Submission {
  id: string;
  photo: string;
  input: string;
  bytes: number | null;
  /** Tells this task from another that has had the same id. */
  fingerprint: string;
}

/** What `darkroom status` reads while a task has not ended. */
export interface SubmissionRecord {
  time: string;
  steps: Step[];
}

export interface Outcome extends Omit<Submission, 'fingerprint'> {
  outcome: 'completed' | 'failed' | 'cancelled';
  data: Record<string, unknown>;
}

export interface Publisher {
  /** Uploads the photo (unless it names something in storage), publishes its task, resolves when confirmed. */
  submit(
    photo: string,
    task: Pick<Task, 'steps' | 'output'> & { id?: string; priority?: number },
  ): Promise<Submission>;
  /** Resolves when the task has ended; `waiting` is told what is in the way. */
  outcome(submission: Submission, waiting?: (reason: string) => void, signal?: AbortSignal): Promise<Outcome>;
}

/** Where submitted tasks leave their record, inside the folder that goes when the task ends. */
export function submissionKey(id: string): string {
  return `${intermediatesFolder(id)}/submitted.json`;
}

export async function createPublisher(broker: Broker, storage: Storage, config: Config): Promise<Publisher> {
  const at = names(config.prefix);
  const settled = new Map<string, () => void>();
  const reply = await openReplyQueue(broker, (id) => settled.get(id)?.());

  return {
    async submit(photo, { steps, output, id = uuid(), priority }) {
      await planTask({ steps, output }, config.functionsDir);
      const { input, bytes, file } = await locate(photo, id, storage);
      const message = messageOf({ id, input, steps, ...(Object.keys(output).length > 0 && { output }) });
      if (file !== undefined) await storage.write(input, await readFile(file));
      const record: SubmissionRecord = { time: new Date().toISOString(), steps };
      await storage.write(submissionKey(id), Buffer.from(JSON.stringify(record)), {
        contentType: 'application/json',
      });
      await broker.publish({
        exchange: '',
        routingKey: at.queue(steps[0]!.filter),
        mandatory: true,
        body: message.body,
        properties: {
          contentType: 'application/json',
          messageId: id,
          correlationId: id,
          replyTo: reply,
          timestamp: Math.floor(Date.now() / 1_000),
          ...(priority !== undefined && { priority }),
          headers: { [HEADERS.published]: Date.now(), [HEADERS.recorded]: true },
        },
      });
      return { id, photo, input, bytes, fingerprint: message.fingerprint };
    },
    async outcome(submission, waiting = () => {}, signal) {
      const { fingerprint, ...shown } = submission;
      const replied = Promise.withResolvers<void>();
      settled.set(submission.id, replied.resolve);
      const done = new AbortController();
      void watchQueues(broker, at.queue, storage, submission.id, waiting, done.signal);
      try {
        for (;;) {
          signal?.throwIfAborted();
          const ended = await readLatestMarker(storage, submission.id);
          if (ended !== undefined) return { ...shown, ...outcomeOf(ended, fingerprint) };
          await Promise.race([replied.promise, sleep(MARKER_POLL_MS)]);
        }
      } finally {
        done.abort();
        settled.delete(submission.id);
      }
    },
  };
}

/** A queue of this connection alone, which goes with it. */
async function openReplyQueue(broker: Broker, onReply: (id: string) => void): Promise<string> {
  const opened = Promise.withResolvers<string>();
  const forever = new Promise<never>(() => {});
  broker
    .withChannel(async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true });
      await channel.consume(queue, (message) => onReply(String(message?.properties.correlationId)), {
        noAck: true,
      });
      opened.resolve(queue);
      await forever;
    })
    .catch(opened.reject); // After it opened, the markers alone tell.
  return await opened.promise;
}

/** A task's message, checked as the worker will. @throws Rejection */
function messageOf(task: { id: string; input: string; steps: Step[]; output?: Task['output'] }) {
  const body = Buffer.from(JSON.stringify(task));
  const message = { body, properties: { contentType: 'application/json' }, headers: {} };
  return { body, fingerprint: parseTask(message, task.steps[0]!.filter).task.fingerprint };
}

/** An id ends once; a second task under it has failed, whatever the first one came to. */
function outcomeOf(ended: TaskMarker, fingerprint: string): Pick<Outcome, 'outcome' | 'data'> {
  // A cancellation does not know the task that it cancels.
  if (ended.fingerprint === '' || ended.fingerprint === fingerprint)
    return { outcome: ended.outcome, data: ended.data };
  const reason = `The id ${JSON.stringify(ended.task_id)} belongs to another task, which ended (${ended.outcome}) at ${ended.time}; expected an id of its own.`;
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

/** Says when a task waits for a worker that is not there. */
async function watchQueues(
  broker: Broker,
  queueOf: (filter: string) => string,
  storage: Storage,
  id: string,
  waiting: (reason: string) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(QUEUE_POLL_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const place = await currentStep(storage, id).catch(() => undefined);
    if (place === undefined) continue;
    const state = await broker
      .withChannel((channel) => inspectQueue(channel, queueOf(place.filter)))
      .catch(() => undefined);
    if (state === undefined) continue;
    waiting(
      state.consumers === 0
        ? `queued since ${place.since}: no worker consumes ${queueOf(place.filter)}`
        : `${state.messages} waiting in ${queueOf(place.filter)}, ${state.consumers} workers`,
    );
  }
}

/** The step that a task which has not ended waits for or is in; undefined when nothing is known of it. */
export async function currentStep(
  storage: Storage,
  id: string,
): Promise<{ step: number; steps: Step[]; filter: string; since: string } | undefined> {
  const stat = await storage.stat(submissionKey(id));
  if (stat === undefined) return undefined;
  const record = JSON.parse((await storage.read(submissionKey(id))).toString('utf8')) as SubmissionRecord;
  let step = 0;
  let since = record.time;
  for await (const { key, modified } of storage.list(intermediatesFolder(id))) {
    const done = Number(/-step-(\d+)$/.exec(key)?.[1] ?? -1) + 1;
    if (done > step) [step, since] = [done, modified.toISOString()];
  }
  const filter = record.steps[Math.min(step, record.steps.length - 1)]!.filter;
  return { step, steps: record.steps, filter, since };
}
