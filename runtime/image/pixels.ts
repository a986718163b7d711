/** Between the library's pipelines and decoded samples, in both directions, losing neither alpha nor depth. */
import type { Sharp } from 'sharp';
import { keep, own } from '../../functions/kernels/memory.ts';
import type { Image, Pixels, Source } from '../filter.ts';
import { sharp } from './library.ts';

/** What of an image decides how its samples are read. */
export interface Shape {
  channels: 1 | 2 | 3 | 4;
  hasAlpha: boolean;
  bits: 8 | 16;
}

type Channels = Pixels['channels'];

/** The library's name for the space that keeps an image's depth, and grey images grey. */
export function colourspaceOf({
  channels,
  bits,
}: Pick<Shape, 'channels' | 'bits'>): 'b-w' | 'grey16' | 'srgb' | 'rgb16' {
  if (channels < 3) return bits === 16 ? 'grey16' : 'b-w';
  return bits === 16 ? 'rgb16' : 'srgb';
}

export function shapeOfPixels({ data, channels }: Pixels): Shape {
  return { channels, hasAlpha: channels % 2 === 0, bits: data instanceof Uint16Array ? 16 : 8 };
}

/** Runs a pipeline made from an image of `shape`. */
export async function readPixels(pipeline: Sharp, shape: Shape): Promise<Pixels> {
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

/** An image that is decoded already. */
export function imageOfPixels(pixels: Pixels, source: Source): Image {
  keep(pixels);
  return {
    ...shapeOfPixels(pixels),
    width: pixels.width,
    height: pixels.height,
    source,
    pipeline: () => pipelineOfPixels(pixels),
    pixels: async () => pixels,
  };
}

async function readRaw(pipeline: Sharp, depth: 'uchar' | 'ushort'): Promise<Pixels> {
  const { data, info } = await pipeline.raw({ depth }).toBuffer({ resolveWithObject: true });
  return {
    data: own(depth === 'ushort' ? asUint16(data) : asUint8(data)),
    width: info.width,
    height: info.height,
    channels: info.channels as Channels,
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
