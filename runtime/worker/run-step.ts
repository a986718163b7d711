/** One step of one task, in the child: look for earlier work, fetch, decode, apply, encode, store or keep for the next. */
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { Context, Image, Pixels, Source } from '../filter.ts';
import { CarriedImage } from '../image/carried-image.ts';
import { decode } from '../image/decode.ts';
import { DamagedIntermediate, intermediatePieces, unpackIntermediate } from '../image/intermediate.ts';
import { type Plan, planTask, renderStep } from '../image/pipeline.ts';
import { freeSamples } from '../image/sample-memory.ts';
import { capText } from '../redact.ts';
import { ObjectNotFound } from '../storage/storage.ts';
import { defaultOutputKey, intermediateKey, readMarker, type TaskMarker } from '../task/task-marker.ts';
import { isCarried, isWorthCarrying, keepForNext, takeWaiting } from './carry.ts';
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

/** What a step works on, and what an earlier delivery of it has promised. */
interface Begun {
  plan: Plan;
  image: Image;
  bytesIn: number;
  promised: TaskMarker | undefined;
  timings: Pick<Timings, 'fetch' | 'decode'>;
}

/** @param progress `marks`: from now on there may be a marker of this try */
async function attemptStep(
  job: Job,
  resources: StepResources,
  signal: AbortSignal,
  progress: { marks: boolean },
): Promise<StepResult> {
  const started = performance.now();
  using room = resources.inputRoom();
  const begun = isCarried(job) ? resumed(job, resources) : await begin(job, resources, room, signal);
  if ('kind' in begun) return begun;
  const { plan, image, bytesIn, promised } = begun;
  const { limits } = resources;
  const rendered = await renderStep(plan, job.step, image, contextOf(job, resources, signal), limits);
  signal.throwIfAborted();
  if (image instanceof CarriedImage) image.release(rendered.kind === 'pixels' ? rendered.pixels : undefined);
  const timings: Timings = { ...rendered.timings, ...begun.timings, store: 0 };
  room.release();
  const start = performance.now();
  if (rendered.kind === 'pixels') {
    const mustFinish = promised !== undefined && !job.isRestart;
    if (mustFinish || isWorthCarrying(job.carry, plan.steps[job.step + 1]!.filter, rendered.pixels)) {
      const kept = { plan, image: new CarriedImage(rendered.pixels, rendered.source), promised };
      keepForNext(job, kept, resources);
      return { kind: 'carried', mustFinish, timings, bytesIn, bytesOut: 0 };
    }
    return { ...(await storeIntermediate(job, rendered, timings, resources, signal)), bytesIn };
  }
  const { file } = rendered;
  const result = { plan, file, image, workMs: start - started, promised };
  progress.marks = true;
  const finished = await finishTask(job, result, resources, signal);
  timings.store = performance.now() - start;
  if (finished.kind === 'ended') return finished;
  return { ...finished, timings, bytesIn, bytesOut: file.bytes.length };
}

/** A step that goes on where the one before it stopped. */
function resumed(job: Job, resources: StepResources): Begun {
  return { ...takeWaiting(job, job.step, resources), bytesIn: 0, timings: { fetch: 0, decode: 0 } };
}

/** Looks for what was done before, fetches and decodes; or says why there is nothing to begin with. */
async function begin(
  job: Job,
  resources: StepResources,
  room: InputRoom,
  signal: AbortSignal,
): Promise<Begun | StepResult> {
  const { task, step, generation } = job;
  const { storage, limits, functionsDir } = resources;
  const isLast = step === task.steps.length - 1;
  const started = performance.now();
  resources.waiting = undefined;
  const fetching = fetchInput(job, resources, room, signal);
  fetching.catch(() => {}); // Awaited below, after the markers that may make it needless.
  const [promised, done] = await Promise.all([
    job.isRepeat ? readMarker(storage, task.id, generation) : undefined,
    job.isRepeat && !job.isRestart && !isLast ? storage.stat(intermediateKey(task, step)) : undefined,
  ]);
  const ended = promised && (await endFrom(job, promised, resources));
  if (ended !== undefined) return ended;
  if (done !== undefined && promised === undefined)
    return { kind: 'stepped', repeated: true, timings: noTime(), bytesIn: 0, bytesOut: done.bytes };
  const plan = await planTask(task, functionsDir);
  const bytes = await fetching;
  if (bytes === undefined) return { kind: 'restart' };
  failpoint('fetched');
  const fetched = performance.now();
  const image = step === 0 ? await decode(bytes, limits) : await undamaged(unpackIntermediate(bytes, limits));
  if (image === undefined) return { kind: 'restart' };
  const timings = { fetch: fetched - started, decode: performance.now() - fetched };
  return { plan, image, bytesIn: bytes.length, promised, timings };
}

/**
 * Stores the image that waits in memory after the job's step: another worker goes on.
 * Never throws: a failure is a result with its consequence.
 */
export async function leaveStep(
  job: Job,
  resources: StepResources,
  signal: AbortSignal,
): Promise<StepResult> {
  try {
    const { image } = takeWaiting(job, job.step + 1, resources);
    const held = { pixels: await image.pixels(), source: image.source };
    const stored = await storeIntermediate(job, held, noTime(), resources, signal);
    image.release();
    return stored;
  } catch (thrown) {
    return failure(asError(thrown));
  }
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
  { pixels, source }: { pixels: Pixels; source: Source },
  timings: Timings,
  { storage }: StepResources,
  signal: AbortSignal,
) {
  const start = performance.now();
  const pieces = intermediatePieces(pixels, source);
  const bytesOut = pieces.reduce((sum, { length }) => sum + length, 0);
  const packed = performance.now();
  failpoint('storing');
  await storage.write(intermediateKey(job.task, job.step), pieces, { hasChecksum: true, signal });
  failpoint('stored');
  freeSamples(pixels);
  timings.encode += packed - start;
  timings.store = performance.now() - packed;
  return { kind: 'stepped' as const, repeated: false, timings, bytesIn: 0, bytesOut };
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
