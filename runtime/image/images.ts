/**
 * Images over the image library, in their two states: a file that is decoded when it is needed, and samples in
 * memory. Neither alpha nor depth is lost between samples and the library's pipelines.
 */
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { asError, Rejection, TaskFailure } from '../errors.ts';
import type { Image, Pixels, Source } from '../filter.ts';
import { capText } from '../redact.ts';
import { FORMATS, SVG } from './formats.ts';
import type { ImageLimits } from './limits.ts';
import { adoptSamples, allocateLike, freeSamples, keepSamples } from './sample-memory.ts';

export { sharp };

// Everything else that the library can read (PDF, ImageMagick, OpenSlide, PPM, JPEG XL, its own dump format, …) stays
// blocked, whatever the bytes claim.
sharp.cache(false);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: Object.values(FORMATS).map(({ loader }) => loader) });

let svgAllowed = false;

/** Applies the limits that hold for the whole process. */
export function configureLibrary(limits: ImageLimits): void {
  if (limits.threads !== undefined && sharp.concurrency() !== limits.threads)
    sharp.concurrency(limits.threads);
  if (limits.svg === svgAllowed) return;
  if (limits.svg) sharp.unblock({ operation: [SVG.loader] });
  else sharp.block({ operation: [SVG.loader] });
  svgAllowed = limits.svg;
}

/** How samples are read. */
export type SampleShape = Pick<Image, 'channels' | 'hasAlpha' | 'bits'>;

/** An image file of which only the header has been read. Faults further in show when its pixels are used. */
export class EncodedImage implements Image {
  readonly width: number;
  readonly height: number;
  readonly channels: Image['channels'];
  readonly hasAlpha: boolean;
  readonly bits: Image['bits'];
  readonly source: Source;
  readonly isDecoded = false;
  readonly #bytes: Buffer;
  readonly #limits: ImageLimits;
  #pixels: Promise<Pixels> | undefined;

  constructor(bytes: Buffer, shape: SampleShape, source: Source, limits: ImageLimits) {
    ({ channels: this.channels, hasAlpha: this.hasAlpha, bits: this.bits } = shape);
    [this.width, this.height] = uprightSize(source);
    this.source = source;
    this.#bytes = bytes;
    this.#limits = limits;
  }

  pipeline(): Sharp {
    return sharp(this.#bytes, inputOptions(this.#limits)).autoOrient().toColourspace(colourspaceOf(this));
  }

  pixels(): Promise<Pixels> {
    this.#pixels ??= this.ownPixels();
    return this.#pixels;
  }

  ownPixels(): Promise<Pixels> {
    return readSamples(this.pipeline(), this).catch((error) => explainFailure(this, error));
  }

  /** Frees what `pixels()` gave; asked for again, it is decoded anew. */
  async forgetPixels(): Promise<void> {
    const decoded = await this.#pixels;
    this.#pixels = undefined;
    if (decoded !== undefined) freeSamples(decoded);
  }

  /** @throws Rejection `not-an-image` when the file's bytes turn out not to decode */
  async verify(): Promise<void> {
    await readSamples(this.pipeline(), this).catch((error) => {
      throw damagedFile(error, this.source.format);
    });
  }
}

/** EXIF orientations 5–8 are turned by a quarter. */
const FIRST_SIDEWAYS_ORIENTATION = 5;

function uprightSize({ width, height, orientation }: Source): [width: number, height: number] {
  return orientation >= FIRST_SIDEWAYS_ORIENTATION ? [height, width] : [width, height];
}

export function inputOptions(limits: ImageLimits): SharpOptions {
  return { failOn: 'error', limitInputPixels: limits.pixels };
}

/**
 * Rethrows what went wrong while an image was filtered or encoded: as a Rejection `not-an-image` when its bytes
 * turn out not to decode, else as it was.
 */
export async function explainFailure(image: Image, error: unknown): Promise<never> {
  if (image instanceof EncodedImage && !(error instanceof TaskFailure)) await image.verify();
  throw error;
}

export function damagedFile(error: unknown, format: string): Rejection {
  const reason = asError(error)
    .message.split('\n')
    .filter((line) => !/bad seek/.test(line))
    .join('; ');
  return new Rejection(
    `The input is a damaged or truncated ${format.toUpperCase()} file: ${capText(reason, 300)}.`,
    { failureType: 'not-an-image', cause: error },
  );
}

/** Frees the samples that were decoded for a step which is done. They can still be asked for again. */
export async function forgetPixels(image: Image): Promise<void> {
  if (image instanceof EncodedImage) await image.forgetPixels();
}

/** An image whose samples are in memory. They are not freed with the step. */
export class DecodedImage implements Image {
  readonly width: number;
  readonly height: number;
  readonly channels: Image['channels'];
  readonly hasAlpha: boolean;
  readonly bits: Image['bits'];
  readonly source: Source;
  readonly isDecoded = true;
  readonly #pixels: Pixels;

  constructor(pixels: Pixels, source: Source) {
    keepSamples(pixels);
    ({ width: this.width, height: this.height } = pixels);
    ({ channels: this.channels, hasAlpha: this.hasAlpha, bits: this.bits } = shapeOfPixels(pixels));
    this.source = source;
    this.#pixels = pixels;
  }

  pipeline(): Sharp {
    return pipelineOfPixels(this.#pixels);
  }

  async pixels(): Promise<Pixels> {
    return this.#pixels;
  }

  async ownPixels(): Promise<Pixels> {
    const data = allocateLike(this.#pixels.data);
    data.set(this.#pixels.data);
    return { ...this.#pixels, data };
  }
}

/** The library's name for the space that keeps an image's depth, and grey images grey. */
export function colourspaceOf({
  channels,
  bits,
}: Pick<SampleShape, 'channels' | 'bits'>): 'b-w' | 'grey16' | 'srgb' | 'rgb16' {
  if (channels < 3) return bits === 16 ? 'grey16' : 'b-w';
  return bits === 16 ? 'rgb16' : 'srgb';
}

export function shapeOfPixels({ data, channels }: Pixels): SampleShape {
  return { channels, hasAlpha: channels % 2 === 0, bits: data instanceof Uint16Array ? 16 : 8 };
}

/** Runs a pipeline made from an image of `shape`. */
export async function readSamples(pipeline: Sharp, shape: SampleShape): Promise<Pixels> {
  if (shape.bits === 16) return readRaw(pipeline, 'ushort');
  // Raw output of 8-bit grey drops the alpha, also one that the pipeline added: read colour, then fold it.
  if (shape.channels < 3) return foldGrey(await readRaw(pipeline.toColourspace('srgb'), 'uchar'));
  const pixels = await readRaw(pipeline.clone(), 'uchar');
  if (!shape.hasAlpha || pixels.channels !== 1) return pixels;
  // A pipeline that made colour grey: its alpha comes back by way of PNG, which keeps it.
  const png = await pipeline.png({ compressionLevel: 0 }).toBuffer();
  return foldGrey(await readRaw(sharp(png, { limitInputPixels: false }), 'uchar'));
}

/** A fresh pipeline over samples. */
export function pipelineOfPixels(pixels: Pixels): Sharp {
  const { data, width, height, channels } = pixels;
  if (data.length !== width * height * channels)
    throw new RangeError(
      `The image has ${data.length} samples; expected ${width} × ${height} × ${channels}. Samples are freed once they are encoded or packed.`,
    );
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false }).toColourspace(
    colourspaceOf(shapeOfPixels(pixels)),
  );
}

async function readRaw(pipeline: Sharp, depth: 'uchar' | 'ushort'): Promise<Pixels> {
  const { data, info } = await pipeline.raw({ depth }).toBuffer({ resolveWithObject: true });
  return {
    data: adoptSamples(depth === 'ushort' ? asUint16(data) : asUint8(data)),
    width: info.width,
    height: info.height,
    channels: info.channels as Pixels['channels'],
  };
}

/** Grey that was read as colour becomes grey again; colour stays colour. */
function foldGrey(pixels: Pixels): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels < 3) return pixels;
  for (let i = 0; i < data.length; i += channels) {
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return pixels;
  }
  const folded = channels === 4 ? 2 : 1;
  const out = new Uint8Array(width * height * folded);
  for (let from = 0, to = 0; from < data.length; from += channels, to += folded) {
    out[to] = data[from]!;
    if (folded === 2) out[to + 1] = data[from + 3]!;
  }
  return { data: out, width, height, channels: folded };
}

/** The same memory without Buffer's own methods, whose `slice` does not copy. */
export function asUint8(data: Buffer): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.length);
}

/** The same memory as 16-bit samples; copied only where it is not aligned for that. */
export function asUint16(data: Buffer): Uint16Array {
  const aligned = data.byteOffset % Uint16Array.BYTES_PER_ELEMENT === 0 ? data : Uint8Array.from(data);
  return new Uint16Array(
    aligned.buffer,
    aligned.byteOffset,
    aligned.byteLength / Uint16Array.BYTES_PER_ELEMENT,
  );
}
