/** From a filter's result to the bytes of a file, without metadata and in sRGB. */
import type { Sharp } from 'sharp';
import { flatten } from '../../functions/kernels/channels.ts';
import { forgetPixels } from '../../functions/kernels/decoded.ts';
import { release } from '../../functions/kernels/memory.ts';
import { asError, Rejection } from '../errors.ts';
import type { Encoding, Image, Pixels } from '../filter.ts';
import { type Colour, parseColour, WHITE } from '../filter-params.ts';
import { explainFailure } from './decode.ts';
import { encodingSchema, FORMATS, OUTPUT_FORMATS, type OutputFormat, PALETTE_OPTIONS } from './encoding.ts';
import type { Limits } from './limits.ts';
import { checkOutputSize, isPipeline } from './output.ts';
import { colourspaceOf, pipelineOfPixels, readPixels, shapeOfPixels } from './pixels.ts';

export { encodingSchema };

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
  limits: Limits,
): Promise<Encoded> {
  const format = formatOf(encoding, image);
  const { contentType, extension } = FORMATS[format];
  try {
    const pipeline = await prepare(result, image, format, encoding, limits);
    const { data, info } = await applyFormat(pipeline, format, encoding).toBuffer({
      resolveWithObject: true,
    });
    checkOutputSize(info, limits);
    if (!isPipeline(result)) release(result);
    await forgetPixels(image);
    return { bytes: data, format, contentType, extension, width: info.width, height: info.height };
  } catch (error) {
    throw tooLargeFor(format, error) ?? (await explainFailure(image, error));
  }
}

/** The format asked for, else the input's own; SVG cannot be written and gives PNG. */
function formatOf(encoding: Encoding, image: Image): OutputFormat {
  return encoding.format ?? OUTPUT_FORMATS.find((format) => format === image.source.format) ?? 'png';
}

/** A pipeline whose samples suit the format. */
async function prepare(
  result: Sharp | Pixels,
  image: Image,
  format: OutputFormat,
  encoding: Encoding,
  limits: Limits,
): Promise<Sharp> {
  const { deep, alpha, maxSide } = FORMATS[format];
  const narrows = image.bits === 16 && !deep;
  // The library flattens before it filters, so what may be transparent is filtered first and laid on a colour then.
  // Deep grey may have become colour, which only samples show.
  if (isPipeline(result) && (alpha || !image.hasAlpha) && !(narrows && image.channels < 3)) {
    return narrows ? result.toColourspace('srgb') : result;
  }
  const pixels = isPipeline(result) ? await readPixels(result, image) : result;
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
  const { options, efforts } = FORMATS[format];
  const taken = Object.fromEntries(
    Object.entries(encoding).filter(
      ([key, value]) => options.includes(key) && value !== undefined && key !== 'background',
    ),
  );
  if (typeof taken.effort === 'number' && efforts !== undefined)
    taken.effort = Math.max(efforts[0], Math.min(taken.effort, efforts[1]));
  const quality = encoding.quality === undefined ? {} : { quality: encoding.quality };
  switch (format) {
    case 'jpeg':
      // Tables fitted to the image would save 5 %, but take longer than all else and hold the whole image again.
      return pipeline.jpeg({ optimiseCoding: taken.mozjpeg === true, ...taken, ...quality });
    case 'png':
      // Any of these would make the library reduce to a palette on its own.
      return pipeline.png(taken.palette === true ? { ...taken, ...quality } : withoutPaletteOptions(taken));
    case 'webp':
      return pipeline.webp({ ...taken, ...quality });
    case 'avif':
      return pipeline.avif({ ...taken, ...quality });
    case 'tiff':
      return pipeline.tiff({ compression: 'deflate', predictor: 'horizontal', ...taken, ...quality });
    case 'gif':
      return pipeline.gif(taken);
  }
}

function withoutPaletteOptions(options: Record<string, unknown>) {
  const left = Object.entries(options).filter(
    ([key]) => key !== 'palette' && !PALETTE_OPTIONS.some((option) => option === key),
  );
  return Object.fromEntries(left);
}

function checkSide(
  { width, height }: { width: number; height: number },
  format: OutputFormat,
  maxSide: number,
): void {
  if (Math.max(width, height) <= maxSide) return;
  throw sideExceeded(format, `${width} × ${height} pixels`);
}

/** The library's own words for a side that the format cannot hold, in ours. */
function tooLargeFor(format: OutputFormat, error: unknown): Rejection | undefined {
  const words = asError(error).message;
  return /too large for the/.test(words) ? sideExceeded(format, 'larger') : undefined;
}

function sideExceeded(format: OutputFormat, found: string): Rejection {
  const message = `The result is too large for ${format}: a side may have up to ${FORMATS[format].maxSide} pixels, it is ${found}.`;
  return new Rejection(message, { failureType: 'limit-exceeded' });
}
