/** One step of one task, in the child: look for earlier work, fetch, decode, apply, encode, store. */
import { createHash } from 'node:crypto';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { Context, Image } from '../filter.ts';
import { decode } from '../image/decode.ts';
import { packIntermediate, unpackIntermediate } from '../image/intermediate.ts';
import type { ImageLimits } from '../image/limits.ts';
import { planTask, type Rendered, type ResultFile, renderStep } from '../image/pipeline.ts';
import { redactText } from '../redact.ts';
import type { Inputs } from '../storage/inputs.ts';
import { ObjectNotFound, type Storage } from '../storage/storage.ts';
import type { StepRecord } from '../task/task.ts';
import { intermediateKey, pathName, readMarker, type TaskMarker, writeMarker } from '../task/task-marker.ts';
import { failpoint } from './failpoint.ts';
import type { InputRoom } from './input-buffer.ts';
import type { Job, ReplyImage, StepResult, Timings } from './protocol.ts';

/** What a step works with. */
export interface StepResources {
  storage: Storage;
  inputs: Inputs;
  limits: ImageLimits;
  functionsDir: string;
  inputGraceMs: number;
  /** Where the next task's input goes. */
  inputRoom: () => InputRoom;
}

/** Never throws: a failure is a result with its consequence. */
export async function runStep(job: Job, resources: StepResources, signal: AbortSignal): Promise<StepResult> {
  try {
    return await attemptStep(job, resources, signal);
  } catch (thrown) {
    return failure(asError(thrown));
  }
}

async function attemptStep(job: Job, resources: StepResources, signal: AbortSignal): Promise<StepResult> {
  const { task, step, generation } = job;
  const isLast = step === task.steps.length - 1;
  const started = performance.now();
  using room = resources.inputRoom();
  const fetching = fetchInput(job, resources, room, signal);
  fetching.catch(() => {}); // Awaited below, after the markers that may make it needless.
  const [marker, done] = await Promise.all([
    readMarker(resources.storage, task.id, generation),
    isLast ? undefined : resources.storage.stat(intermediateKey(task, step)),
  ]);
  if (marker !== undefined) return repeated(job, marker, resources);
  if (done !== undefined)
    return { kind: 'stepped', repeated: true, timings: noTime(), bytesIn: 0, bytesOut: done.bytes };
  const plan = await planTask(task, resources.functionsDir);
  const bytes = await fetching;
  if (bytes === undefined) return { kind: 'restart' };
  failpoint('fetched');
  const fetched = performance.now();
  const image =
    step === 0 ? await decode(bytes, resources.limits) : await unpackIntermediate(bytes, resources.limits);
  const decoded = performance.now();
  const rendered = await renderStep(plan, step, image, contextOf(job, resources, signal), resources.limits);
  signal.throwIfAborted();
  const timings = { ...rendered.timings, fetch: fetched - started, decode: decoded - fetched, store: 0 };
  room.release();
  const outcome = await store(job, rendered, image, timings, started, resources, signal);
  return { ...outcome, bytesIn: bytes.length };
}

/** The bytes a step starts from; undefined when the previous step's are gone. */
async function fetchInput(
  job: Job,
  resources: StepResources,
  room: InputRoom,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const { task, step } = job;
  const maxBytes = resources.limits.inputBytes;
  if (step > 0) {
    return await resources.storage
      .read(intermediateKey(task, step - 1), { signal })
      .catch((error: unknown) => {
        if (error instanceof ObjectNotFound) return undefined;
        throw error;
      });
  }
  if (job.image !== undefined) {
    if (job.image.length <= maxBytes) return job.image;
    throw new Rejection(`The image has ${job.image.length} bytes; expected at most ${maxBytes}.`, {
      failureType: 'limit-exceeded',
    });
  }
  try {
    return await resources.inputs.read(task.input!, { maxBytes, allocate: room.take, signal });
  } catch (error) {
    if (error instanceof ObjectNotFound && graceIsOver(job, resources.inputGraceMs)) {
      throw new Rejection(error.message, { failureType: 'input-not-found', cause: error });
    }
    throw error;
  }
}

/** An input may come a moment after its task; after the grace it never will. */
function graceIsOver(job: Job, graceMs: number): boolean {
  return job.waitingSinceMs !== null && Date.now() - job.waitingSinceMs > graceMs;
}

async function store(
  job: Job,
  rendered: Rendered,
  image: Image,
  timings: Timings,
  started: number,
  resources: StepResources,
  signal: AbortSignal,
) {
  const start = performance.now();
  if (rendered.kind === 'pixels') {
    const bytes = await packIntermediate(rendered.pixels, rendered.source);
    const packed = performance.now();
    failpoint('storing');
    await resources.storage.write(intermediateKey(job.task, job.step), bytes, { signal });
    failpoint('stored');
    timings.encode += packed - start;
    timings.store = performance.now() - packed;
    return { kind: 'stepped' as const, repeated: false, timings, bytesOut: bytes.length };
  }
  const { file } = rendered;
  const key = job.task.output.key ?? `out/${pathName(job.task.id)}.${file.extension}`;
  failpoint('storing');
  await resources.storage.write(key, file.bytes, { contentType: file.contentType, signal });
  failpoint('stored');
  const marker = await writeMarker(
    resources.storage,
    completion(job, key, file, image, performance.now() - started),
  );
  failpoint('marked');
  timings.store = performance.now() - start;
  return {
    kind: 'completed' as const,
    marker,
    timings,
    bytesOut: file.bytes.length,
    ...(job.wantsImage && { image: replyImage(file) }),
  };
}

function completion(job: Job, key: string, file: ResultFile, image: Image, workMs: number): TaskMarker {
  const { bytes, format, width, height, json } = file;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const output = {
    key,
    format,
    bytes: bytes.length,
    ...(width !== undefined && { width, height }),
    sha256,
    ...(json !== undefined && { json }),
  };
  const input = {
    format: image.source.format,
    width: image.source.width,
    height: image.source.height,
    bytes: image.source.bytes,
  };
  const last: StepRecord = {
    filter: job.task.steps[job.step]!.filter,
    attempt: job.attempt,
    queue_ms: job.queueMs,
    work_ms: Math.round(workMs),
  };
  return {
    task_id: job.task.id,
    generation: job.generation,
    fingerprint: job.task.fingerprint,
    outcome: 'completed',
    time: new Date().toISOString(),
    data: { ...job.about, steps: [...job.history, last], input, output },
  };
}

/** A copy of a task that has ended: what it said then is said again, and nothing else changes. */
async function repeated(job: Job, marker: TaskMarker, resources: StepResources): Promise<StepResult> {
  if (marker.fingerprint !== '' && marker.fingerprint !== job.task.fingerprint) {
    const message = `id: "${job.task.id}" belongs to another task, which ended (${marker.outcome}) at ${marker.time}; expected an id of its own.`;
    throw new Rejection(message, { failureType: 'task-id-reused' });
  }
  const image = job.wantsImage ? await storedImage(marker, resources) : undefined;
  return { kind: 'ended', marker, ...(image !== undefined && { image }) };
}

async function storedImage(marker: TaskMarker, resources: StepResources): Promise<ReplyImage | undefined> {
  const output = marker.data.output as { key?: string; format?: string } | undefined;
  if (output?.key === undefined) return undefined;
  const bytes = await resources.storage.read(output.key);
  return { bytes, contentType: output.format === 'json' ? 'application/json' : `image/${output.format}` };
}

function replyImage(file: ResultFile): ReplyImage {
  return { bytes: file.bytes, contentType: file.contentType };
}

function contextOf(job: Job, resources: StepResources, signal: AbortSignal): Context {
  return {
    taskId: job.task.id,
    step: job.step,
    signal,
    load: async (input) =>
      decode(
        await resources.inputs.read(input, { maxBytes: resources.limits.inputBytes, signal }),
        resources.limits,
      ),
  };
}

function failure(error: Error): StepResult {
  const known = error instanceof TaskFailure;
  return {
    kind: 'failed',
    // An unforeseen error may be the world's: a few retries tell.
    consequence: known ? error.consequence : 'retry',
    failureType: known ? error.failureType : 'filter-failed',
    message: redactText(error.message),
    ...(!known && error.stack !== undefined && { stack: redactText(error.stack) }),
  };
}

function noTime(): Timings {
  return { fetch: 0, decode: 0, filter: 0, encode: 0, store: 0 };
}
