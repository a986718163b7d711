/** From a file's bytes to an image: checks what the bytes are and how large, and decodes them lazily. */
import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { setDecoder } from '../../functions/kernels/decoded.ts';
import { release } from '../../functions/kernels/memory.ts';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { Image, Pixels, Source } from '../filter.ts';
import { configureLibrary, sharp } from './library.ts';
import type { Limits } from './limits.ts';
import { colourspaceOf, imageOfPixels, readPixels, type Shape } from './pixels.ts';
import { type SniffedFormat, sniff } from './sniff.ts';

const ACCEPTED_FORMATS = 'JPEG, PNG, WebP, AVIF, TIFF or GIF';

/** EXIF orientations 5–8 lie on their side. */
const FIRST_SIDEWAYS_ORIENTATION = 5;

/**
 * Opens an image file. Only its header is read here; what is wrong further in shows when its pixels are used,
 * as the same Rejection. A file that ends too early is refused, never filled up with grey; harmless faults
 * that viewers ignore too (stray bytes between markers, broken EXIF) are tolerated.
 *
 * @throws Rejection `not-an-image` or `limit-exceeded`
 */
export async function decode(bytes: Buffer, limits: Limits): Promise<Image> {
  configureLibrary(limits);
  checkBytes(bytes, limits);
  const format = checkFormat(bytes, limits);
  const metadata = await readMetadata(bytes, format);
  checkSize(metadata, limits);
  const source = describeSource(metadata, format, bytes.length);
  if (needsConversion(metadata)) return imageOfPixels(await convert(bytes, metadata, limits), source);
  return lazyImage(bytes, metadata, source, limits);
}

function checkBytes(bytes: Buffer, limits: Limits): void {
  if (bytes.length === 0) throw notAnImage('The input is empty (0 bytes).');
  if (bytes.length <= limits.inputBytes) return;
  throw limitExceeded(
    `The input has ${count(bytes.length)} bytes; the limit is ${count(limits.inputBytes)}.`,
  );
}

function checkFormat(bytes: Buffer, limits: Limits): SniffedFormat {
  const sniffed = sniff(bytes);
  if ('format' in sniffed && (sniffed.format !== 'svg' || limits.svg)) return sniffed.format;
  if ('format' in sniffed)
    throw notAnImage(`The input is SVG, which is not allowed here; expected ${ACCEPTED_FORMATS}.`);
  const found =
    sniffed.refused === undefined ? `begins with ${preview(bytes)}` : `looks like ${sniffed.refused}`;
  throw notAnImage(`The input is no image that can be read: it ${found}; expected ${ACCEPTED_FORMATS}.`);
}

async function readMetadata(bytes: Buffer, format: SniffedFormat): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw damaged(error, format);
  }
}

function checkSize({ width, height, pages = 1 }: Metadata, limits: Limits): void {
  if (pages > limits.frames) {
    throw limitExceeded(`The input has ${count(pages)} frames; the limit is ${count(limits.frames)}.`);
  }
  if (width * height * pages <= limits.pixels) return;
  const size = `${width} × ${height}${pages > 1 ? ` × ${pages} frames` : ''}`;
  throw limitExceeded(
    `The input has ${count(width * height * pages)} pixels (${size}); the limit is ${count(limits.pixels)}.`,
  );
}

function describeSource(metadata: Metadata, format: SniffedFormat, bytes: number): Source {
  const { width, height, space, channels, depth, hasAlpha, orientation, pages, density, hasProfile } =
    metadata;
  return {
    format,
    bytes,
    width,
    height,
    space,
    channels,
    depth,
    hasAlpha,
    orientation: orientation ?? 1,
    frames: pages ?? 1,
    ...(density !== undefined && { density }),
    hasProfile,
  };
}

/**
 * Whether the samples must be converted before a filter may see them. Everything else becomes sRGB inside the
 * library's own pipeline, before its first operation. The library would take 16-bit RGB with a profile into
 * Display P3 instead, and would keep Lab, float and the like as they are until its last operation.
 */
function needsConversion({ space, depth, hasProfile }: Metadata): boolean {
  if (depth === 'uchar') return !['srgb', 'b-w', 'cmyk'].includes(space);
  if (depth === 'ushort' && space === 'rgb16') return hasProfile;
  return depth !== 'ushort' || space !== 'grey16';
}

/** Decodes at once: 16-bit RGB straight from its embedded profile to sRGB, anything unusual to 8-bit sRGB. */
async function convert(bytes: Buffer, metadata: Metadata, limits: Limits): Promise<Pixels> {
  const profiled = metadata.space === 'rgb16' && metadata.depth === 'ushort';
  const shape = shapeOf(metadata);
  const pipeline = sharp(bytes, { ...inputOptions(limits), ignoreIcc: profiled }).autoOrient();
  const converted = profiled
    ? pipeline.toColourspace('rgb16').withIccProfile('srgb', { attach: false })
    : pipeline.toColourspace('srgb');
  try {
    return await readPixels(converted, shape);
  } catch (error) {
    throw damaged(error, metadata.format);
  }
}

function lazyImage(bytes: Buffer, metadata: Metadata, source: Source, limits: Limits): Image {
  const shape = shapeOf(metadata);
  const colourspace = colourspaceOf(shape);
  const pipeline = (): Sharp => sharp(bytes, inputOptions(limits)).autoOrient().toColourspace(colourspace);
  const decodeAnew = () => readPixels(pipeline(), shape).catch((error) => explainFailure(image, error));
  let pixels: Promise<Pixels> | undefined;
  const image: Image = {
    ...shape,
    ...uprightSize(source),
    source,
    pipeline,
    pixels: () => (pixels ??= decodeAnew()),
  };
  const forget = async () => {
    const decoded = await pixels;
    pixels = undefined;
    if (decoded !== undefined) release(decoded);
  };
  setDecoder(image, { decodeAnew, forget });
  checks.set(image, async () => {
    await readPixels(pipeline(), shape).catch((error) => {
      throw damaged(error, source.format);
    });
  });
  return image;
}

/** How to find out whether an image's own bytes are at fault, for images that are decoded lazily. */
const checks = new WeakMap<Image, () => Promise<void>>();

/**
 * Rethrows what went wrong while an image was filtered or encoded: as a Rejection `not-an-image` when its bytes
 * turn out not to decode, else as it was.
 */
export async function explainFailure(image: Image, error: unknown): Promise<never> {
  if (!(error instanceof TaskFailure)) await checks.get(image)?.();
  throw error;
}

function inputOptions(limits: Limits): SharpOptions {
  return { failOn: 'error', limitInputPixels: limits.pixels };
}

function shapeOf({ space, depth, channels, hasAlpha }: Metadata): Shape {
  const grey = space === 'b-w' || space === 'grey16' || channels < 3;
  const bits = depth === 'ushort' && (space === 'rgb16' || space === 'grey16') ? 16 : 8;
  return { channels: grey ? (hasAlpha ? 2 : 1) : hasAlpha ? 4 : 3, hasAlpha, bits };
}

function uprightSize({ width, height, orientation }: Source): { width: number; height: number } {
  return orientation >= FIRST_SIDEWAYS_ORIENTATION ? { width: height, height: width } : { width, height };
}

function damaged(error: unknown, format: string): Rejection {
  const words = asError(error)
    .message.split('\n')
    .filter((line) => !/bad seek/.test(line))
    .join('; ');
  return notAnImage(
    `The input is a damaged or truncated ${format.toUpperCase()} file: ${words.slice(0, 300)}.`,
    error,
  );
}

function notAnImage(message: string, cause?: unknown): Rejection {
  return new Rejection(message, { failureType: 'not-an-image', cause });
}

function limitExceeded(message: string): Rejection {
  return new Rejection(message, { failureType: 'limit-exceeded' });
}

function preview(bytes: Buffer): string {
  return `0x${bytes.toString('hex', 0, 8)}`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
