/** Applies one filter to one image, within the limits. */
import type { Sharp } from 'sharp';
import { forgetPixels } from '../../functions/kernels/decoded.ts';
import type { Context, Filter, Image, ImageFilter, Pixels } from '../filter.ts';
import { explainFailure } from './decode.ts';
import type { Limits } from './limits.ts';
import { checkOutputSize, isPipeline } from './output.ts';
import { readPixels } from './pixels.ts';

export type StepResult = { kind: 'image'; result: Sharp | Pixels } | { kind: 'json'; json: unknown };

/**
 * Runs a filter. What it foresees of its result is checked before it starts.
 *
 * @param params as `parseParams` gave them
 * @throws Rejection `limit-exceeded` or `not-an-image`; whatever else the filter throws is passed on
 */
export async function applyFilter(
  filter: Filter,
  image: Image,
  params: unknown,
  context: Context,
  limits: Limits,
): Promise<StepResult> {
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
export async function materialize(result: Sharp | Pixels, image: Image, limits: Limits): Promise<Pixels> {
  if (!isPipeline(result)) return result;
  try {
    const pixels = await readPixels(result, image);
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
  limits: Limits,
): Promise<Sharp | Pixels> {
  const forecast = filter.forecast?.(image, params);
  if (forecast !== undefined) checkOutputSize(forecast, limits);
  const result = await filter.apply(image, params, context);
  if (!isPipeline(result)) checkOutputSize(result, limits);
  // An encoder without alpha must see the alpha that a filter adds: only samples show it.
  const addsAlpha = forecast?.addsAlpha === true && !image.hasAlpha;
  return addsAlpha ? materialize(result, image, limits) : result;
}
