/** From a filter's result to the bytes of a file, without metadata and in sRGB. */
import type { Sharp } from 'sharp';
import { asError, Rejection } from '../errors.ts';
import type { Encoding, Image, Pixels } from '../filter.ts';
import { type Colour, parseColour, WHITE } from '../filter-params.ts';
import { flatten } from './flatten.ts';
import { FORMATS, OUTPUT_FORMATS, type OutputFormat } from './formats.ts';
import {
  colourspaceOf,
  explainFailure,
  forgetPixels,
  pipelineOfPixels,
  readSamples,
  shapeOfPixels,
} from './images.ts';
import type { ImageLimits } from './limits.ts';
import { freeSamples } from './sample-memory.ts';

export interface Encoded {
  bytes: Buffer;
  format: OutputFormat;
  contentType: string;
  /** Without a dot: jpg, png, … */
  extension: string;
  width: number;
  height: number;
}

/**
 * Encodes a filter's result. A pipeline is run and encoded in one go. Samples that a filter made, and those that
 * the image was decoded to, are freed.
 *
 * Nothing of the input's metadata is kept, and no profile is embedded: an image without one is sRGB by the
 * standards of the web. 16-bit results stay 16-bit in PNG and TIFF. Transparent pixels are laid on `background`
 * (default white) for JPEG.
 *
 * @param image the image that the filter was given
 * @throws Rejection `limit-exceeded` or `not-an-image`
 */
export async function encode(
  result: Sharp | Pixels,
  image: Image,
  encoding: Encoding,
  limits: ImageLimits,
): Promise<Encoded> {
  const format = formatOf(encoding, image);
  const { contentType, extensions } = FORMATS[format];
  try {
    const pipeline = await prepare(result, image, format, encoding, limits);
    const { data, info } = await applyFormat(pipeline, format, encoding).toBuffer({
      resolveWithObject: true,
    });
    checkOutputSize(info, limits);
    if (!isPipeline(result)) freeSamples(result);
    await forgetPixels(image);
    const [extension] = extensions;
    return { bytes: data, format, contentType, extension, width: info.width, height: info.height };
  } catch (error) {
    throw tooLargeFor(format, error) ?? (await explainFailure(image, error));
  }
}

/** The format asked for, else the input's own; SVG cannot be written and gives PNG. */
function formatOf(encoding: Encoding, image: Image): OutputFormat {
  const asked = encoding.format ?? image.source.format;
  return OUTPUT_FORMATS.find((format) => format === asked) ?? 'png';
}

/** A pipeline with samples that the format can hold. */
async function prepare(
  result: Sharp | Pixels,
  image: Image,
  format: OutputFormat,
  encoding: Encoding,
  limits: ImageLimits,
): Promise<Sharp> {
  const { deep, alpha, maxSide } = FORMATS[format];
  const narrows = image.bits === 16 && !deep;
  // The library flattens before it filters, so what may be transparent is filtered first and laid on a colour then.
  // Deep grey may have become colour, which only samples show.
  if (isPipeline(result) && (alpha || !image.hasAlpha) && !(narrows && image.channels < 3)) {
    return narrows ? result.toColourspace('srgb') : result;
  }
  const pixels = isPipeline(result) ? await readSamples(result, image) : result;
  checkOutputSize(pixels, limits);
  checkSide(pixels, format, maxSide);
  const shape = shapeOfPixels(pixels);
  const flat = shape.hasAlpha && !alpha ? flatten(pixels, backgroundOf(encoding)) : pixels;
  const pipeline = pipelineOfPixels(flat);
  return shape.bits === 16 && !deep ? pipeline.toColourspace(colourspaceOf({ ...shape, bits: 8 })) : pipeline;
}

function backgroundOf({ background }: Encoding): Colour {
  return typeof background === 'string' ? parseColour(background) : WHITE;
}

/** Sets the encoder. Options of other formats are left out: with the input's own format they may be there. */
function applyFormat(pipeline: Sharp, format: OutputFormat, encoding: Encoding): Sharp {
  const { options, efforts, write } = FORMATS[format];
  const known = [...options, 'quality'].filter((name) => name !== 'background');
  const taken = Object.fromEntries(
    Object.entries(encoding).filter(([key, value]) => known.includes(key) && value !== undefined),
  );
  if (typeof taken.effort === 'number' && efforts !== undefined)
    taken.effort = Math.max(efforts[0], Math.min(taken.effort, efforts[1]));
  return write(pipeline, taken);
}

export function isPipeline(result: Sharp | Pixels): result is Sharp {
  return 'toBuffer' in result;
}

/** @throws Rejection `limit-exceeded` */
export function checkOutputSize(size: { width: number; height: number }, limits: ImageLimits): void {
  const pixels = size.width * size.height;
  if (pixels <= limits.outputPixels) return;
  throw new Rejection(
    `The result would have ${pixels.toLocaleString('en-US')} pixels (${size.width} × ${size.height}); the limit is ${limits.outputPixels.toLocaleString('en-US')}.`,
    { failureType: 'limit-exceeded' },
  );
}

function checkSide(
  { width, height }: { width: number; height: number },
  format: OutputFormat,
  maxSide: number,
): void {
  if (Math.max(width, height) <= maxSide) return;
  throw sideExceeded(format, `${width} × ${height} pixels`);
}

/** The library's error for a side that the format cannot hold, as a Rejection. */
function tooLargeFor(format: OutputFormat, error: unknown): Rejection | undefined {
  return /too large for the/.test(asError(error).message) ? sideExceeded(format, 'larger') : undefined;
}

function sideExceeded(format: OutputFormat, found: string): Rejection {
  const message = `The result is too large for ${format}: a side may have up to ${FORMATS[format].maxSide} pixels, it is ${found}.`;
  return new Rejection(message, { failureType: 'limit-exceeded' });
}
