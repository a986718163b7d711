/** Small pictures made by rule, and their files, for tests of decoding and filtering. */
import sharp, { type Sharp } from 'sharp';
import type { Pixels, Source } from '../../runtime/filter.ts';

export const KINDS = [
  { name: '8-bit grey', channels: 1, bits: 8 },
  { name: '8-bit grey with alpha', channels: 2, bits: 8 },
  { name: '8-bit colour', channels: 3, bits: 8 },
  { name: '8-bit colour with alpha', channels: 4, bits: 8 },
  { name: '16-bit grey', channels: 1, bits: 16 },
  { name: '16-bit grey with alpha', channels: 2, bits: 16 },
  { name: '16-bit colour', channels: 3, bits: 16 },
  { name: '16-bit colour with alpha', channels: 4, bits: 16 },
] as const;

type Kind = Pick<(typeof KINDS)[number], 'channels' | 'bits'>;

/** Gradients, a hard edge and some texture; no two corners alike. Alpha runs from transparent to opaque. */
export function picture(kind: Kind = { channels: 3, bits: 8 }, width = 37, height = 23): Pixels {
  const { channels, bits } = kind;
  const max = bits === 16 ? 65535 : 255;
  const length = width * height * channels;
  const data = bits === 16 ? new Uint16Array(length) : new Uint8Array(length);
  const hasAlpha = channels === 2 || channels === 4;
  for (let i = 0; i < length; i++) {
    const c = i % channels;
    const x = Math.floor(i / channels) % width;
    const y = Math.floor(i / channels / width);
    const across = x / Math.max(1, width - 1);
    const down = y / Math.max(1, height - 1);
    const edge = x > width / 3 && y > height / 2 ? 0.3 : 0;
    const colour =
      [0.7 * across + edge, 0.7 * down + edge, 0.5 * (1 - across) + ((x * 7 + y * 3) % 5) * 0.08][c] ?? 0;
    const alpha = Math.min(1, 0.1 + across * 0.6 + down * 0.6);
    data[i] = Math.round(Math.min(1, hasAlpha && c === channels - 1 ? alpha : colour) * max);
  }
  return { data, width, height, channels };
}

/** A library pipeline over samples, for making test files. */
export function pipelineOver({ data, width, height, channels }: Pixels): Sharp {
  const deep = data instanceof Uint16Array;
  const space = channels < 3 ? (deep ? 'grey16' : 'b-w') : deep ? 'rgb16' : 'srgb';
  return sharp(data, { raw: { width, height, channels } }).toColourspace(space);
}

/** A PNG file of the samples, bit for bit. */
export async function pngOf(pixels: Pixels): Promise<Buffer> {
  return pipelineOver(pixels).png().toBuffer();
}

/** A PNG file of one colour. */
export async function flatPng(width: number, height: number, background = 'red'): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

/** What the file of the samples would say of itself. */
export function sourceOf({ data, width, height, channels }: Pixels): Source {
  const deep = data instanceof Uint16Array;
  return {
    format: 'png',
    bytes: 1,
    width,
    height,
    space: channels < 3 ? 'b-w' : 'srgb',
    channels,
    depth: deep ? 'ushort' : 'uchar',
    hasAlpha: channels % 2 === 0,
    orientation: 1,
    frames: 1,
    hasProfile: false,
  };
}

export const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/**
 * A PNG that shows `upright` once its EXIF orientation is applied. By the EXIF standard, the stored pixel of
 * an upright (x, y) is mirrored (2, 4, 5, 7), turned by 180° (3, 4), or has its axes swapped (5–8).
 */
export async function orientedPng(
  upright: Pixels,
  orientation: (typeof ORIENTATIONS)[number],
): Promise<Buffer> {
  const stored = store(upright, orientation);
  return pipelineOver(stored).withMetadata({ orientation }).png().toBuffer();
}

function store(upright: Pixels, orientation: number): Pixels {
  const { width, height, channels } = upright;
  const sideways = orientation >= 5;
  const size = sideways ? { width: height, height: width } : { width, height };
  const data = upright.data.slice();
  const right = width - 1;
  const bottom = height - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const places: Record<number, [number, number]> = {
        1: [x, y],
        2: [right - x, y],
        3: [right - x, bottom - y],
        4: [x, bottom - y],
        5: [y, x],
        6: [y, right - x],
        7: [bottom - y, right - x],
        8: [bottom - y, x],
      };
      const [toX, toY] = places[orientation] ?? [x, y];
      const from = (y * width + x) * channels;
      data.set(upright.data.subarray(from, from + channels), (toY * size.width + toX) * channels);
    }
  }
  return { data, ...size, channels };
}
