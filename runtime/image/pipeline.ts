/**
 * One step over one image, decoded to encoded: the code that both the queue's workers and `darkroom run` go
 * through, so that both give the same bytes.
 */
import type { Sharp } from 'sharp';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { Context, Encoding, Filter, Image, ImageFilter, Pixels, Source } from '../filter.ts';
import { loadFunction, parseParams } from '../functions.ts';
import type { Step, Task } from '../task/task.ts';
import { validationMessage } from '../validation-message.ts';
import { checkOutputSize, encode, isPipeline } from './encode.ts';
import { encodingSchema } from './formats.ts';
import { explainFailure, forgetPixels, readSamples } from './images.ts';
import type { ImageLimits } from './limits.ts';

/** A task whose steps are loaded and whose parameters are checked. */
export interface Plan {
  steps: { filter: Filter; params: unknown }[];
  encoding: Encoding;
}

/** Milliseconds spent; decoding is lazy, so what a filter leaves in its pipeline is done while encoding. */
export interface StepTimings {
  decode: number;
  filter: number;
  encode: number;
}

export type Rendered =
  | { kind: 'pixels'; pixels: Pixels; source: Source; timings: StepTimings }
  | { kind: 'file'; file: ResultFile; timings: StepTimings };

/** The end of a task: an image file, or the JSON of a filter that only looks. */
export interface ResultFile {
  bytes: Buffer;
  format: string;
  contentType: string;
  extension: string;
  width?: number;
  height?: number;
  json?: unknown;
}

/**
 * Loads the filters of `task` and checks every step's parameters and the output before any work.
 * @throws Rejection `unknown-filter`, `invalid-params` or `invalid-task`
 */
export async function planTask(task: Pick<Task, 'steps' | 'output'>, functionsDir: string): Promise<Plan> {
  const steps = await Promise.all(task.steps.map((step, index) => planStep(step, index, functionsDir)));
  const looks = steps.findIndex(({ filter }, index) => filter.returns === 'json' && index < steps.length - 1);
  if (looks >= 0) {
    throw new Rejection(
      `steps[${looks}].filter: ${task.steps[looks]?.filter} gives JSON and no image, so it can only be the last step.`,
      { failureType: 'invalid-task' },
    );
  }
  return { steps, encoding: planEncoding(task.output, steps) };
}

async function planStep(step: Step, index: number, functionsDir: string): Promise<Plan['steps'][number]> {
  const filter = await loadFunction(step.filter, functionsDir, `steps[${index}].filter`);
  return { filter, params: parseParams(filter, step.params, `steps[${index}].params`) };
}

/** The task's own output takes precedence over what a step asks for, of which the last one counts. */
function planEncoding(output: Task['output'], steps: Plan['steps']): Encoding {
  const asked = steps.map(({ filter, params }) =>
    'encoding' in filter ? filter.encoding?.(params) : undefined,
  );
  const { key: _, ...own } = output;
  const written: unknown = Object.assign({}, ...asked.filter(Boolean).slice(-1), own);
  const result = encodingSchema.safeParse(written);
  if (result.success) return result.data as Encoding;
  throw new Rejection(validationMessage(result.error, written, encodingSchema, 'output'), {
    failureType: 'invalid-task',
  });
}

/**
 * Runs one planned step. The last one is encoded; the others give pixels for the next.
 * @throws TaskFailure; whatever else a filter throws becomes a Rejection `filter-failed`
 */
export async function renderStep(
  plan: Plan,
  step: number,
  image: Image,
  context: Context,
  limits: ImageLimits,
): Promise<Rendered> {
  const { filter, params } = plan.steps[step]!;
  const start = performance.now();
  const applied = await guarded(() => applyFilter(filter, image, params, context, limits));
  const filtered = performance.now();
  const timings = (): StepTimings => ({
    decode: 0,
    filter: filtered - start,
    encode: performance.now() - filtered,
  });
  if ('json' in applied) return { kind: 'file', file: jsonFile(applied.json), timings: timings() };
  if (step < plan.steps.length - 1) {
    const pixels = await guarded(() => materialize(applied.result, image, limits));
    return { kind: 'pixels', pixels, source: image.source, timings: timings() };
  }
  const file = await guarded(() => encode(applied.result, image, plan.encoding, limits));
  return { kind: 'file', file, timings: timings() };
}

/** What a filter gave. */
export type FilterResult = { kind: 'image'; result: Sharp | Pixels } | { kind: 'json'; json: unknown };

/**
 * Runs a filter. Its forecast of the result is checked before it starts.
 *
 * @param params as `parseParams` gave them
 * @throws Rejection `limit-exceeded` or `not-an-image`; whatever else the filter throws is passed on
 */
export async function applyFilter(
  filter: Filter,
  image: Image,
  params: unknown,
  context: Context,
  limits: ImageLimits,
): Promise<FilterResult> {
  const images = [image];
  const load = async (input: string) => {
    const loaded = await context.load(input);
    images.push(loaded);
    return loaded;
  };
  const watched = { ...context, load };
  try {
    if (filter.returns === 'json') return { kind: 'json', json: await filter.apply(image, params, watched) };
    return { kind: 'image', result: await applyImageFilter(filter, image, params, watched, limits) };
  } catch (error) {
    for (const used of images)
      await explainFailure(used, error).catch((failure) => rethrowUnless(failure, error));
    throw error;
  }
}

/** Passes on a better explanation of `error`. */
function rethrowUnless(failure: unknown, error: unknown): void {
  if (failure !== error) throw failure;
}

/** A result as samples: alpha and depth are kept, grey stays grey. */
export async function materialize(
  result: Sharp | Pixels,
  image: Image,
  limits: ImageLimits,
): Promise<Pixels> {
  if (!isPipeline(result)) return result;
  try {
    const pixels = await readSamples(result, image);
    checkOutputSize(pixels, limits);
    await forgetPixels(image);
    return pixels;
  } catch (error) {
    return explainFailure(image, error);
  }
}

async function applyImageFilter(
  filter: ImageFilter,
  image: Image,
  params: unknown,
  context: Context,
  limits: ImageLimits,
): Promise<Sharp | Pixels> {
  const forecast = filter.forecast?.(image, params);
  if (forecast !== undefined) checkOutputSize(forecast, limits);
  const result = await filter.apply(image, params, context);
  if (!isPipeline(result)) checkOutputSize(result, limits);
  // An encoder without alpha must see the alpha that a filter adds: only samples show it.
  const addsAlpha = forecast?.addsAlpha === true && !image.hasAlpha;
  return addsAlpha ? materialize(result, image, limits) : result;
}

function jsonFile(json: unknown): ResultFile {
  const bytes = Buffer.from(`${JSON.stringify(json, null, 2)}\n`);
  return { bytes, format: 'json', contentType: 'application/json', extension: 'json', json };
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof TaskFailure) throw thrown;
    const error = asError(thrown);
    throw new Rejection(`The filter failed: ${error.message}`, {
      failureType: 'filter-failed',
      cause: error,
    });
  }
}
