/** Runs a filter by name over an image, as a step of a task would. */
import type { Encoding, Image, Pixels } from '../../runtime/filter.ts';
import { loadFunction, parseParams } from '../../runtime/functions.ts';
import { decode } from '../../runtime/image/decode.ts';
import { type Encoded, encode } from '../../runtime/image/encode.ts';
import { DecodedImage } from '../../runtime/image/images.ts';
import { DEFAULT_LIMITS, type ImageLimits } from '../../runtime/image/limits.ts';
import { applyFilter, type FilterResult, materialize } from '../../runtime/image/pipeline.ts';
import { sourceOf } from './pictures.ts';

export interface FilterRun {
  limits?: ImageLimits;
  /** What `context.load` gives, by the input's name. */
  inputs?: Record<string, Image>;
}

/** An image of samples that are decoded already. */
export function imageOf(pixels: Pixels): Image {
  return new DecodedImage(pixels, sourceOf(pixels));
}

export async function decodeFile(bytes: Buffer, limits: ImageLimits = DEFAULT_LIMITS): Promise<Image> {
  return decode(bytes, limits);
}

export async function runFilter(
  name: string,
  image: Image,
  params: Record<string, unknown> = {},
  { limits = DEFAULT_LIMITS, inputs = {} }: FilterRun = {},
): Promise<FilterResult> {
  const filter = await loadFunction(name);
  const load = async (input: string) => {
    const found = inputs[input];
    if (found === undefined) throw new Error(`no input ${input}`);
    return found;
  };
  const context = { taskId: 'test', step: 0, signal: new AbortController().signal, load };
  return applyFilter(filter, image, parseParams(filter, params, 'params'), context, limits);
}

/** The samples that an image filter makes. */
export async function filterPixels(
  name: string,
  image: Image,
  params: Record<string, unknown> = {},
  run: FilterRun = {},
): Promise<Pixels> {
  const step = await runFilter(name, image, params, run);
  if (step.kind === 'json') throw new Error(`${name} gives JSON`);
  return materialize(step.result, image, run.limits ?? DEFAULT_LIMITS);
}

/** The file that an image filter makes, as the last step of a task. */
export async function filterFile(
  name: string,
  image: Image,
  params: Record<string, unknown> = {},
  encoding: Encoding = {},
  run: FilterRun = {},
): Promise<Encoded> {
  const step = await runFilter(name, image, params, run);
  if (step.kind === 'json') throw new Error(`${name} gives JSON`);
  return encode(step.result, image, encoding, run.limits ?? DEFAULT_LIMITS);
}
