/** One step of one task, in the child: look for earlier work, fetch, decode, apply, encode, store. */
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { Context, Image } from '../filter.ts';
import { decode } from '../image/decode.ts';
import { DamagedIntermediate, packIntermediate, unpackIntermediate } from '../image/intermediate.ts';
import { planTask, type Rendered, renderStep } from '../image/pipeline.ts';
import { capText } from '../redact.ts';
import { ObjectNotFound } from '../storage/storage.ts';
import { defaultOutputKey, intermediateKey, readMarker } from '../task/task-marker.ts';
import { failpoint } from './failpoint.ts';
import {
  assertNotRead,
  endFrom,
  finishTask,
  isSameTask,
  PromisedByAnother,
  ResultRefused,
} from './finish-task.ts';
import type { InputRoom } from './input-buffer.ts';
import type { Job, StepFailure, StepResult, Timings } from './protocol.ts';
import type { StepResources } from './step-resources.ts';

/**
 * Never throws: a failure is a result with its consequence.
 *
 * A first delivery leaps before it looks: the marker that it writes at the end decides whether the task had ended. Only
 * when it goes wrong it looks whether that is because the task is over, its input and intermediates gone.
 */
export async function runStep(job: Job, resources: StepResources, signal: AbortSignal): Promise<StepResult> {
  const result = await tryStep(job, resources, signal);
  const wentWrong = result.kind === 'failed' || result.kind === 'restart';
  if (!wentWrong || job.isRepeat) return result;
  const marker = await readMarker(resources.storage, job.task.id, job.generation).catch(() => undefined);
  if (marker === undefined || !(await isSameTask(job.task, marker, resources.functionsDir))) return result;
  return (await endFrom(job, marker, resources).catch(() => undefined)) ?? result;
}

async function tryStep(job: Job, resources: StepResources, signal: AbortSignal): Promise<StepResult> {
  const progress = { marks: false };
  try {
    return await attemptStep(job, resources, signal, progress);
  } catch (thrown) {
    const hasPromised = progress.marks && !(thrown instanceof PromisedByAnother);
    const hasNotPromised = job.hasNotPromised === true && !hasPromised;
    return { ...failure(asError(thrown)), ...(hasNotPromised && { hasNotPromised }) };
  }
}

/** @param progress `marks`: from now on there may be a marker of this try */
async function attemptStep(
  job: Job,
  resources: StepResources,
  signal: AbortSignal,
  progress: { marks: boolean },
): Promise<StepResult> {
  const { task, step, generation } = job;
  const { storage, limits, functionsDir } = resources;
  const isLast = step === task.steps.length - 1;
  const started = performance.now();
  using room = resources.inputRoom();
  const fetching = fetchInput(job, resources, room, signal);
  fetching.catch(() => {}); // Awaited below, after the markers that may make it needless.
  const [marker, done] = await Promise.all([
    job.isRepeat ? readMarker(storage, task.id, generation) : undefined,
    job.isRepeat && !job.isRestart && !isLast ? storage.stat(intermediateKey(task, step)) : undefined,
  ]);
  const ended = marker && (await endFrom(job, marker, resources));
  if (ended !== undefined) return ended;
  if (done !== undefined)
    return { kind: 'stepped', repeated: true, timings: noTime(), bytesIn: 0, bytesOut: done.bytes };
  const plan = await planTask(task, functionsDir);
  const bytes = await fetching;
  if (bytes === undefined) return { kind: 'restart' };
  failpoint('fetched');
  const fetched = performance.now();
  const image = step === 0 ? await decode(bytes, limits) : await undamaged(unpackIntermediate(bytes, limits));
  if (image === undefined) return { kind: 'restart' };
  const decoded = performance.now();
  const rendered = await renderStep(plan, step, image, contextOf(job, resources, signal), limits);
  signal.throwIfAborted();
  const timings = { ...rendered.timings, fetch: fetched - started, decode: decoded - fetched, store: 0 };
  room.release();
  const start = performance.now();
  if (rendered.kind === 'pixels') {
    const stepped = await storeIntermediate(job, rendered, timings, resources, signal);
    return { ...stepped, bytesIn: bytes.length };
  }
  const { file } = rendered;
  const result = { plan, file, image, workMs: start - started, promised: marker };
  progress.marks = true;
  const finished = await finishTask(job, result, resources, signal);
  timings.store = performance.now() - start;
  if (finished.kind === 'ended') return finished;
  return { ...finished, timings, bytesIn: bytes.length, bytesOut: file.bytes.length };
}

/** The bytes a step starts from; undefined when the previous step's are gone. */
async function fetchInput(
  job: Job,
  { storage, inputs, limits, inputGraceMs }: StepResources,
  room: InputRoom,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const { task, step } = job;
  const maxBytes = limits.inputBytes;
  if (step > 0) return await storage.find(intermediateKey(task, step - 1), { signal });
  if (job.image !== undefined) {
    if (job.image.length <= maxBytes) return job.image;
    throw new Rejection(`The image has ${job.image.length} bytes; expected at most ${maxBytes}.`, {
      failureType: 'limit-exceeded',
    });
  }
  try {
    return await inputs.read(task.input!, { maxBytes, allocate: room.take, signal });
  } catch (error) {
    if (error instanceof ObjectNotFound && graceIsOver(job, inputGraceMs)) {
      throw new Rejection(error.message, { failureType: 'input-not-found', cause: error });
    }
    throw error;
  }
}

/** An input may come a moment after its task; after the grace it never will. */
function graceIsOver(job: Job, graceMs: number): boolean {
  return job.waitingSinceMs !== null && Date.now() - job.waitingSinceMs > graceMs;
}

/** The image that the step before left; undefined when it was damaged. */
async function undamaged(unpacking: Promise<Image>): Promise<Image | undefined> {
  return await unpacking.catch((error: unknown) => {
    if (error instanceof DamagedIntermediate) return undefined;
    throw error;
  });
}

async function storeIntermediate(
  job: Job,
  rendered: Extract<Rendered, { kind: 'pixels' }>,
  timings: Timings,
  { storage }: StepResources,
  signal: AbortSignal,
) {
  const start = performance.now();
  const bytes = await packIntermediate(rendered.pixels, rendered.source);
  const packed = performance.now();
  failpoint('storing');
  await storage.write(intermediateKey(job.task, job.step), bytes, { signal });
  failpoint('stored');
  timings.encode += packed - start;
  timings.store = performance.now() - packed;
  return { kind: 'stepped' as const, repeated: false, timings, bytesOut: bytes.length };
}

function contextOf({ task, step }: Job, resources: StepResources, signal: AbortSignal): Context {
  const { inputs, limits } = resources;
  return {
    taskId: task.id,
    step,
    signal,
    async load(input) {
      const outputKey = task.output.key ?? defaultOutputKey(task.id, input.split('.').at(-1) ?? '');
      assertNotRead(input, outputKey, resources);
      return await decode(await inputs.read(input, { maxBytes: limits.inputBytes, signal }), limits);
    },
  };
}

function failure(error: Error): StepFailure {
  const known = error instanceof TaskFailure;
  return {
    kind: 'failed',
    // An unforeseen error may be the world's: a few retries tell.
    consequence: known ? error.consequence : 'retry',
    failureType: known ? error.failureType : 'filter-failed',
    message: capText(error.message),
    ...(error instanceof ResultRefused && { isResultRefused: true }),
    ...(!known && error.stack !== undefined && { stack: capText(error.stack) }),
  };
}

function noTime(): Timings {
  return { fetch: 0, decode: 0, filter: 0, encode: 0, store: 0 };
}
