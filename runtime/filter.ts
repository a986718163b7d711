/**
 * The contract of a filter: what a file in `functions/` exports and what its `apply` is given.
 *
 * @example
 * ```ts
 * // functions/negate.ts
 * import { z } from 'zod';
 * import { defineFilter } from '../runtime/filter.ts';
 *
 * export default defineFilter({
 *   summary: 'Inverts every colour; alpha is kept.',
 *   params: z.strictObject({}),
 *   apply: (image) => image.pipeline().negate({ alpha: false }),
 * });
 * ```
 */
import type { Sharp } from 'sharp';
import type { z } from 'zod';

/**
 * Decoded samples: row-major, interleaved, `width × height × channels`.
 * Channels are grey (1), grey + alpha (2), RGB (3) or RGBA (4); colour is gamma-encoded sRGB; alpha is
 * straight, not premultiplied. 8-bit images use `Uint8Array` (0–255), 16-bit ones `Uint16Array` (0–65535).
 */
export interface Pixels {
  data: Uint8Array | Uint16Array;
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
}

/** What the image's file says about itself. The runtime then turns the image upright and converts it to sRGB. */
export interface Source {
  /** Such as jpeg or svg; `image/formats.ts` lists what is read. */
  format: string;
  /** The size of the file, bytes. */
  bytes: number;
  /** Width and height as stored, before EXIF orientation. */
  width: number;
  height: number;
  /** Colour space as stored: srgb, b-w, cmyk, rgb16, grey16, … */
  space: string;
  channels: number;
  /** Sample format as stored: uchar, ushort, float, … */
  depth: string;
  hasAlpha: boolean;
  /** EXIF orientation, 1–8; 1 when the file has none. */
  orientation: number;
  /** Frames of an animation or pages of a document; 1 for a still image. Filters are given the first. */
  frames: number;
  /** Dots per inch, where the file says. */
  density?: number;
  /** Whether an ICC profile is embedded. */
  hasProfile: boolean;
}

/** An image, upright and in sRGB. Decoding is lazy: a resize can still shrink while loading. */
export interface Image {
  /** Size in pixels, upright. */
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
  readonly hasAlpha: boolean;
  /** 8 or 16 bits a sample. */
  readonly bits: 8 | 16;
  readonly source: Source;
  /** Whether the samples are in memory already, so that a pipeline over them would only copy them. */
  readonly isDecoded: boolean;
  /** A fresh sharp pipeline over this image, to which a filter adds its operations. */
  pipeline(): Sharp;
  /** The decoded samples, to read only: they may be shared, and are freed when the step ends. */
  pixels(): Promise<Pixels>;
  /** Samples that are the filter's own to write to and to return: decoded once more, or a copy. */
  ownPixels(): Promise<Pixels>;
}

/** What a filter may know of its task. */
export interface Context {
  taskId: string;
  /** Index of this step in the task, from 0. */
  step: number;
  /** Aborted at the deadline, on cancellation and when the worker drains. */
  signal: AbortSignal;
  /** Loads a second image, by the same rules and limits as a task's `input`. */
  load(input: string): Promise<Image>;
}

/** How a result is encoded, as `image/formats.ts` takes it. `format` defaults to the input's own. */
export interface Encoding {
  format?: string;
  /** 1–100; formats without a quality ignore it. */
  quality?: number;
  [option: string]: unknown;
}

/** What a filter can say about its result before the work. */
export interface Forecast {
  /** Pixels, within a few of the truth. */
  width: number;
  height: number;
  /** Whether an image without transparency gets some. */
  addsAlpha?: boolean;
}

/** Whether a filter's own work is clearly less than what a hop between two workers takes. */
export type FilterCost = 'light' | 'heavy';

interface FilterBase<Params extends z.ZodType> {
  /** One sentence: what it does. */
  summary: string;
  /** A strict zod object; every key with `.describe(…)` and bounds. */
  params: Params;
  /**
   * `light` where its work on decoded samples, with usual parameters, takes at most two thirds of a hop's, which packs,
   * writes, reads and unpacks them: about 8 ms a megapixel, and 15 ms whatever the size. Default `heavy`.
   */
  cost?: FilterCost;
  /** Whether it insists on workers of its own, whatever it costs: for what only they have. Default false. */
  ownWorkers?: boolean;
}

/** A filter that makes an image: it returns a sharp pipeline made from `image.pipeline()`, or pixels. */
export interface ImageFilter<Params extends z.ZodType = z.ZodType> extends FilterBase<Params> {
  returns?: 'image';
  apply(image: Image, params: z.output<Params>, context: Context): Sharp | Pixels | Promise<Sharp | Pixels>;
  /** For filters that enlarge or add transparency: lets too large a result be refused before the work. */
  forecast?(image: Image, params: z.output<Params>): Forecast;
  /** How these parameters want the result encoded; the task's own `output` takes precedence. */
  encoding?(params: z.output<Params>): Encoding;
}

/** A filter that only looks: it returns a JSON value, and can only be a task's last step. */
export interface JsonFilter<Params extends z.ZodType = z.ZodType> extends FilterBase<Params> {
  returns: 'json';
  apply(image: Image, params: z.output<Params>, context: Context): unknown;
}

export type Filter<Params extends z.ZodType = z.ZodType> = ImageFilter<Params> | JsonFilter<Params>;

/** Types a filter's parameters in its `apply`. The file's name is the filter's name. */
export function defineFilter<Params extends z.ZodType>(filter: Filter<Params>): Filter<Params> {
  return filter;
}
