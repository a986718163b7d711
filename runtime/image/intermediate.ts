/**
 * The lossless form in which an image travels between two steps: its samples as they are, behind a header that
 * also carries what the input's file said of itself.
 *
 * Raw samples were chosen by measurement (test/bench/intermediates.ts; Node 24, 2 cores, one image thread; a photo of 12
 * megapixels, 8-bit RGB). Processor time of a whole hop (pack, write, read, unpack), and time on a way of 100 MB/s with 5
 * and 40 ms:
 *
 * | form              |   MB | CPU ms by file | by S3 | on the way at 5 ms | at 40 ms |
 * |-------------------|-----:|---------------:|------:|-------------------:|---------:|
 * | raw               | 36.0 |             77 |    79 |                730 |      800 |
 * | uncompressed TIFF | 36.0 |             80 |   124 |                730 |      800 |
 * | raw + zstd -3     | 25.8 |            299 |   283 |                526 |      596 |
 * | raw + zstd 1      | 22.5 |            289 |   331 |                460 |      530 |
 * | raw + zstd 3      | 20.0 |            340 |   399 |                410 |      480 |
 * | PNG level 1       | 24.9 |            317 |   398 |                508 |      578 |
 *
 * The best compression saves as much on the way as it costs in processor time, and that is what other slots want
 * meanwhile. The checksum takes 5 ms of each side, at 7 GB/s.
 */
import { crc32 } from 'node:zlib';
import { Rejection } from '../errors.ts';
import type { Image, Pixels, Source } from '../filter.ts';
import { asUint8, asUint16, configureLibrary, DecodedImage } from './images.ts';
import type { ImageLimits } from './limits.ts';
import { freeSamples } from './sample-memory.ts';

/** Like PNG's: the high bit, both line endings and ^Z show a transfer that altered the bytes. The 2 is the version. */
const MAGIC = Buffer.from('\x89DRM2\r\n\x1a', 'latin1');
/** Then, in four bytes each: the CRC-32 of all that follows it, and the length of the JSON that comes next. */
const CHECKSUM_AT = MAGIC.length;
const LENGTH_AT = CHECKSUM_AT + 4;
const HEADER_AT = LENGTH_AT + 4;

/** Samples begin at a multiple of this, so that 16-bit ones can be read in place. */
const ALIGNMENT_BYTES = 16;

interface Header {
  width: number;
  height: number;
  channels: Pixels['channels'];
  bits: 8 | 16;
  source: Source;
}

/** A packed intermediate that is not as it was written, or none at all. */
export class DamagedIntermediate extends Rejection {
  constructor(reason: string) {
    super(`The intermediate image is damaged: ${reason}.`, { failureType: 'not-an-image' });
  }
}

/** Packs pixels for the next step, and frees them where a filter made them. */
export async function packIntermediate(pixels: Pixels, source: Source): Promise<Buffer> {
  const packed = Buffer.concat(intermediatePieces(pixels, source));
  freeSamples(pixels);
  return packed;
}

/** The same without a copy: the samples stay where they are. */
export function intermediatePieces(pixels: Pixels, source: Source): [start: Buffer, samples: Buffer] {
  const { data, width, height, channels } = pixels;
  const header: Header = { width, height, channels, bits: data instanceof Uint16Array ? 16 : 8, source };
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(samplesAt(json.length), ' ');
  MAGIC.copy(start);
  start.writeUInt32LE(json.length, LENGTH_AT);
  json.copy(start, HEADER_AT);
  const samples = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  start.writeUInt32LE(crc32(samples, crc32(start.subarray(LENGTH_AT))), CHECKSUM_AT);
  return [start, samples];
}

/**
 * The image in a packed intermediate; its samples stay where they are in `bytes`.
 * @throws DamagedIntermediate when a single bit is not as it was written
 * @throws Rejection `limit-exceeded` when it is too large
 */
export async function unpackIntermediate(bytes: Buffer, limits: ImageLimits): Promise<Image> {
  configureLibrary(limits);
  if (!isIntermediate(bytes)) throw new DamagedIntermediate('it does not begin with the mark of one');
  const jsonLength = bytes.readUInt32LE(LENGTH_AT);
  const header = parseHeader(bytes.subarray(HEADER_AT, HEADER_AT + jsonLength));
  const { width, height, channels, bits, source } = header;
  const samples = bytes.subarray(samplesAt(jsonLength));
  const expected = width * height * channels * (bits / 8);
  if (samples.length !== expected)
    throw new DamagedIntermediate(`it has ${samples.length} bytes of samples; expected ${expected}`);
  if (crc32(bytes.subarray(LENGTH_AT)) !== bytes.readUInt32LE(CHECKSUM_AT))
    throw new DamagedIntermediate('its checksum does not match');
  checkPixels(header, limits);
  return new DecodedImage(
    { data: bits === 16 ? asUint16(samples) : asUint8(samples), width, height, channels },
    source,
  );
}

/** Whether bytes begin like a packed intermediate. */
export function isIntermediate(bytes: Buffer): boolean {
  return bytes.length >= HEADER_AT && bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

function samplesAt(jsonLength: number): number {
  return Math.ceil((HEADER_AT + jsonLength) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function parseHeader(json: Buffer): Header {
  try {
    const header = JSON.parse(json.toString()) as Header;
    const whole = [header.width, header.height].every((side) => Number.isSafeInteger(side) && side > 0);
    const shaped = [1, 2, 3, 4].includes(header.channels) && [8, 16].includes(header.bits);
    if (whole && shaped && typeof header.source?.format === 'string') return header;
  } catch {
    throw new DamagedIntermediate('its header is cut off');
  }
  throw new DamagedIntermediate('its header does not describe an image');
}

/** A step's result may be as large as an output, which may be more than an input. */
function checkPixels({ width, height }: Header, limits: ImageLimits): void {
  const limit = Math.max(limits.pixels, limits.outputPixels);
  if (width * height <= limit) return;
  throw new Rejection(`The intermediate has ${width * height} pixels; the limit is ${limit}.`, {
    failureType: 'limit-exceeded',
  });
}
