/** From a file's bytes to an image: checks what the bytes are and how large, and decodes them when they are needed. */
import type { Metadata } from 'sharp';
import { Rejection } from '../errors.ts';
import type { Image, Pixels, Source } from '../filter.ts';
import { humanSize } from '../units.ts';
import { FORMATS, type ImageFormat, OUTPUT_FORMATS, type OutputFormat } from './formats.ts';
import {
  configureLibrary,
  DecodedImage,
  damagedFile,
  EncodedImage,
  inputOptions,
  readSamples,
  type SampleShape,
  sharp,
} from './images.ts';
import { decodablePixels, type ImageLimits } from './limits.ts';

type InputFormat = OutputFormat | 'svg';

const LABELS = OUTPUT_FORMATS.map((format) => FORMATS[format].label);
const ACCEPTED_FORMATS = `${LABELS.slice(0, -1).join(', ')} or ${LABELS.at(-1)}`;

/**
 * Opens an image file. Only its header is read here; what is wrong further in shows when its pixels are used,
 * as the same Rejection. A file that ends too early is refused, never filled up with grey; harmless faults
 * that viewers ignore too (stray bytes between markers, broken EXIF) are tolerated.
 *
 * @throws Rejection `not-an-image` or `limit-exceeded`
 */
export async function decode(bytes: Buffer, limits: ImageLimits): Promise<Image> {
  configureLibrary(limits);
  checkBytes(bytes, limits);
  const format = checkFormat(bytes, limits);
  const metadata = await readMetadata(bytes, format);
  checkSize(metadata, limits);
  checkMemory(metadata, format, limits);
  const source = describeSource(metadata, format, bytes.length);
  if (needsConversion(metadata)) return new DecodedImage(await convert(bytes, metadata, limits), source);
  return new EncodedImage(bytes, shapeOf(metadata), source, limits);
}

function checkBytes(bytes: Buffer, limits: ImageLimits): void {
  if (bytes.length === 0) throw notAnImage('The input is empty (0 bytes).');
  if (bytes.length <= limits.inputBytes) return;
  throw limitExceeded(
    `The input has ${count(bytes.length)} bytes; the limit is ${count(limits.inputBytes)}.`,
  );
}

function checkFormat(bytes: Buffer, limits: ImageLimits): InputFormat {
  const brands = isoBrands(bytes);
  const format = OUTPUT_FORMATS.find((known) => isOf(FORMATS[known], bytes, brands));
  if (format !== undefined) return format;
  if (brands === undefined && isSvg(bytes)) {
    if (limits.svg) return 'svg';
    throw notAnImage(`The input is SVG, which is not allowed here; expected ${ACCEPTED_FORMATS}.`);
  }
  const refused = REFUSED_FORMATS.find((known) => isOf(known, bytes, brands));
  const found =
    refused === undefined ? `begins with 0x${bytes.toString('hex', 0, 8)}` : `looks like ${refused.label}`;
  throw notAnImage(`The input is not an image that can be read: it ${found}; expected ${ACCEPTED_FORMATS}.`);
}

type Signature = Pick<ImageFormat, 'label' | 'signatures' | 'brands'>;

const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs', 'mif1', 'msf1'];

/** Formats that people send and that are not accepted, so that the refusal can name them. */
const REFUSED_FORMATS: readonly Signature[] = [
  { label: 'HEIC', signatures: [], brands: HEIC_BRANDS },
  { label: 'JPEG XL', signatures: ['\xff\x0a', '\0\0\0\x0cJXL '] },
  { label: 'JPEG 2000', signatures: ['\0\0\0\x0cjP  ', '\xff\x4f\xff\x51'] },
  { label: 'BMP', signatures: ['BM'] },
  { label: 'PDF', signatures: ['%PDF'] },
  { label: 'Photoshop', signatures: ['8BPS'] },
  { label: 'icon', signatures: ['\0\0\x01\0'] },
  { label: 'HTML', signatures: ['<!DOCTYPE html', '<html'] },
  { label: 'gzip', signatures: ['\x1f\x8b'] },
];

/** Whether the first bytes of a file say that it has a format. Nothing is decoded. */
function isOf(
  { signatures, brands = [] }: Signature,
  bytes: Buffer,
  isoBrands: string[] | undefined,
): boolean {
  if (isoBrands !== undefined) return brands.some((brand) => isoBrands.includes(brand));
  return signatures.some((signature) => {
    const start = bytes.toString('latin1', 0, signature.length);
    return (
      start.length === signature.length &&
      [...signature].every((byte, i) => byte === '?' || byte === start[i])
    );
  });
}

/** Bytes that are looked at; an SVG may open with a declaration and a comment. */
const SNIFFED_BYTES = 1024;

function isSvg(bytes: Buffer): boolean {
  const head = bytes.toString('utf8', 0, SNIFFED_BYTES).replace(/^\uFEFF?\s*/, '');
  return head.startsWith('<') && /<svg[\s>]/.test(head);
}

/** The brands of an ISO media file (AVIF, HEIC), major brand first; undefined when it is none. */
function isoBrands(bytes: Buffer): string[] | undefined {
  if (bytes.length < 16 || bytes.toString('latin1', 4, 8) !== 'ftyp') return undefined;
  const end = Math.min(bytes.readUInt32BE(0), bytes.length, SNIFFED_BYTES);
  const brands = [bytes.toString('latin1', 8, 12)];
  for (let at = 16; at + 4 <= end; at += 4) brands.push(bytes.toString('latin1', at, at + 4));
  return brands;
}

async function readMetadata(bytes: Buffer, format: InputFormat): Promise<Metadata> {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw damagedFile(error, format);
  }
}

function checkSize({ width, height, pages = 1 }: Metadata, limits: ImageLimits): void {
  if (pages > limits.frames) {
    throw limitExceeded(`The input has ${count(pages)} frames; the limit is ${count(limits.frames)}.`);
  }
  if (width * height * pages <= limits.pixels) return;
  const size = `${width} × ${height}${pages > 1 ? ` × ${pages} frames` : ''}`;
  throw limitExceeded(
    `The input has ${count(width * height * pages)} pixels (${size}); the limit is ${count(limits.pixels)}.`,
  );
}

/** Some formats take so much memory to decode that fewer pixels fit into it than the limit allows. */
function checkMemory(
  { width, height, depth }: Metadata,
  format: InputFormat,
  { memoryBytes }: ImageLimits,
): void {
  if (memoryBytes === undefined) return;
  const isDeep = depth !== 'uchar';
  const fitting = decodablePixels(format, isDeep, memoryBytes);
  if (width * height <= fitting) return;
  const label = `${format.toUpperCase()}${isDeep ? ' of more than 8 bits a sample' : ''}`;
  throw limitExceeded(
    `The input has ${count(width * height)} pixels (${width} × ${height}); of ${label} at most ${count(fitting)} can be decoded within the ${humanSize(memoryBytes)} of memory that a task may take (CHILD_MAX_MEMORY).`,
  );
}

function describeSource(metadata: Metadata, format: InputFormat, bytes: number): Source {
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
async function convert(bytes: Buffer, metadata: Metadata, limits: ImageLimits): Promise<Pixels> {
  const profiled = metadata.space === 'rgb16' && metadata.depth === 'ushort';
  const pipeline = sharp(bytes, { ...inputOptions(limits), ignoreIcc: profiled }).autoOrient();
  const converted = profiled
    ? pipeline.toColourspace('rgb16').withIccProfile('srgb', { attach: false })
    : pipeline.toColourspace('srgb');
  try {
    return await readSamples(converted, shapeOf(metadata));
  } catch (error) {
    throw damagedFile(error, metadata.format);
  }
}

function shapeOf({ space, depth, channels, hasAlpha }: Metadata): SampleShape {
  const grey = space === 'b-w' || space === 'grey16' || channels < 3;
  const bits = depth === 'ushort' && (space === 'rgb16' || space === 'grey16') ? 16 : 8;
  return { channels: grey ? (hasAlpha ? 2 : 1) : hasAlpha ? 4 : 3, hasAlpha, bits };
}

function notAnImage(message: string): Rejection {
  return new Rejection(message, { failureType: 'not-an-image' });
}

function limitExceeded(message: string): Rejection {
  return new Rejection(message, { failureType: 'limit-exceeded' });
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
