/** Breaks small image files of every format in the ways that break decoders, by a seeded choice. */
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import type { Random } from './random.ts';

export interface Seed {
  name: string;
  bytes: Buffer;
}

const WIDTH = 43;
const HEIGHT = 29;
/** What a length or dimension becomes. */
const SIZES = [0, 1, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff];
const PNG_CHUNKS_AT = 8;

/** One small file per format and variant. */
export async function seedFiles(random: Random): Promise<Seed[]> {
  const colour = noise(random, 3);
  const alpha = noise(random, 4);
  const frames = sharp(
    Buffer.from(Array.from({ length: WIDTH * HEIGHT * 3 * 3 }, () => random.integer(0, 255))),
    {
      raw: { width: WIDTH, height: HEIGHT * 3, channels: 3, pageHeight: HEIGHT },
    },
  );
  const made: Record<string, Sharp> = {
    png: colour.clone().png(),
    'png-alpha': alpha.clone().png({ adaptiveFiltering: true }),
    'png-palette': colour.clone().png({ palette: true, colours: 16 }),
    'png-16': colour.clone().toColourspace('rgb16').png(),
    'png-interlaced': colour.clone().png({ progressive: true }),
    jpeg: colour.clone().jpeg(),
    'jpeg-progressive': colour.clone().jpeg({ progressive: true, chromaSubsampling: '4:4:4' }),
    'jpeg-cmyk': colour.clone().toColourspace('cmyk').jpeg(),
    'jpeg-grey': colour.clone().grayscale().withMetadata({ orientation: 6, density: 300 }).jpeg(),
    webp: colour.clone().webp(),
    'webp-lossless': alpha.clone().webp({ lossless: true }),
    'webp-animated': frames.clone().webp({ loop: 2 }),
    gif: colour.clone().gif(),
    'gif-animated': frames.clone().gif(),
    'tiff-lzw': colour.clone().tiff({ compression: 'lzw' }),
    'tiff-deflate-tiled': alpha
      .clone()
      .tiff({ compression: 'deflate', tile: true, tileWidth: 16, tileHeight: 16 }),
    'tiff-jpeg': colour.clone().tiff({ compression: 'jpeg' }),
    'tiff-bilevel': colour
      .clone()
      .threshold(128)
      .toColourspace('b-w')
      .tiff({ compression: 'ccittfax4', bitdepth: 1 }),
    avif: colour.clone().avif({ effort: 0 }),
    'avif-alpha': alpha.clone().avif({ effort: 0, lossless: true }),
  };
  const files = await Promise.all(
    Object.entries(made).map(async ([name, image]) => ({ name, bytes: await image.toBuffer() })),
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}"><rect width="9" height="9" fill="red"/></svg>`;
  return [...files, { name: 'svg', bytes: Buffer.from(svg) }];
}

function noise(random: Random, channels: 3 | 4): Sharp {
  const data = Buffer.from(Array.from({ length: WIDTH * HEIGHT * channels }, () => random.integer(0, 255)));
  return sharp(data, { raw: { width: WIDTH, height: HEIGHT, channels } });
}

type Mutation = (bytes: Buffer, random: Random) => Buffer;

const MUTATIONS: Mutation[] = [
  flipBits,
  truncate,
  repeatPiece,
  removePiece,
  spliceGarbage,
  inflateDimension,
  inflateLength,
];

/** One to three mutations after each other. */
export function mutate({ bytes, name }: Seed, random: Random): Buffer {
  let broken = Buffer.from(bytes);
  for (let times = random.integer(1, 3); times > 0; times--)
    broken = Buffer.from(random.pick(MUTATIONS)(broken, random));
  // Half of the PNGs get right checksums again, so that what is wrong is found by the decoder and not before.
  return name.startsWith('png') && random.next() < 0.5 ? withChecksums(broken) : broken;
}

function flipBits(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return bytes;
  for (let flips = random.pick([1, 2, 8, 64]); flips > 0; flips--) {
    // Headers are where it hurts.
    const end = random.next() < 0.5 ? Math.min(64, bytes.length) : bytes.length;
    const at = random.integer(0, end - 1);
    bytes[at] = bytes[at]! ^ (1 << random.integer(0, 7));
  }
  return bytes;
}

function truncate(bytes: Buffer, random: Random): Buffer {
  return bytes.subarray(0, random.integer(0, bytes.length));
}

function repeatPiece(bytes: Buffer, random: Random): Buffer {
  const [start, end] = piece(bytes, random);
  const copies = Array.from({ length: random.pick([1, 2, 50]) }, () => bytes.subarray(start, end));
  return Buffer.concat([bytes.subarray(0, end), ...copies, bytes.subarray(end)]);
}

function removePiece(bytes: Buffer, random: Random): Buffer {
  const [start, end] = piece(bytes, random);
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
}

function spliceGarbage(bytes: Buffer, random: Random): Buffer {
  const at = random.integer(0, bytes.length);
  const garbage = Buffer.from(Array.from({ length: random.pick([1, 4, 300]) }, () => random.integer(0, 255)));
  return Buffer.concat([
    bytes.subarray(0, at),
    garbage,
    bytes.subarray(random.pick([at, at + garbage.length])),
  ]);
}

/** Of a PNG a chunk, of others any stretch. */
function piece(bytes: Buffer, random: Random): [number, number] {
  const starts = pngChunks(bytes);
  if (starts.length > 1) {
    const chosen = random.integer(0, starts.length - 2);
    return [starts[chosen]!, starts[chosen + 1]!];
  }
  const start = random.integer(0, bytes.length);
  return [start, random.integer(start, bytes.length)];
}

/** Writes another number where the file has its width or height, in whichever form. */
function inflateDimension(bytes: Buffer, random: Random): Buffer {
  const places: { at: number; write: (value: number) => void }[] = [];
  for (let at = 0; at + 4 <= Math.min(bytes.length, 600); at++) {
    for (const side of [WIDTH, HEIGHT, WIDTH - 1, HEIGHT - 1]) {
      if (bytes.readUInt32BE(at) === side)
        places.push({ at, write: (value) => bytes.writeUInt32BE(value >>> 0, at) });
      if (bytes.readUInt32LE(at) === side)
        places.push({ at, write: (value) => bytes.writeUInt32LE(value >>> 0, at) });
      if (bytes.readUInt16BE(at) === side)
        places.push({ at, write: (value) => bytes.writeUInt16BE(value & 0xffff, at) });
      if (bytes.readUInt16LE(at) === side)
        places.push({ at, write: (value) => bytes.writeUInt16LE(value & 0xffff, at) });
    }
  }
  if (places.length > 0) random.pick(places).write(random.pick(SIZES));
  return bytes;
}

/** Writes a large or zero number over any four bytes near the start, as over the length of a chunk or an offset. */
function inflateLength(bytes: Buffer, random: Random): Buffer {
  if (bytes.length < 8) return bytes;
  const at = random.integer(0, Math.min(bytes.length, 200) - 4);
  if (random.next() < 0.5) bytes.writeUInt32BE(random.pick(SIZES), at);
  else bytes.writeUInt32LE(random.pick(SIZES), at);
  return bytes;
}

/** Where the chunks begin, and where the last one ends. */
function pngChunks(bytes: Buffer): number[] {
  const starts: number[] = [];
  if (bytes.subarray(1, 4).toString('latin1') !== 'PNG') return starts;
  for (let at = PNG_CHUNKS_AT; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) starts.push(at);
  return starts;
}

function withChecksums(bytes: Buffer): Buffer {
  for (const start of pngChunks(bytes)) {
    const end = start + 8 + bytes.readUInt32BE(start);
    if (end + 4 <= bytes.length) bytes.writeUInt32BE(crc32(bytes.subarray(start + 4, end)), end);
  }
  return bytes;
}
