/** Measures the lossless forms in which an image could travel between two steps: time to write and read, and size. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import sharp from 'sharp';
import { printTable } from '../../runtime/cli/terminal.ts';
import type { Pixels } from '../../runtime/filter.ts';
import { packIntermediate, unpackIntermediate } from '../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../runtime/image/limits.ts';
import { largePhoto } from '../support/large-photo.ts';
import { pipelineOver, sourceOf } from '../support/pictures.ts';

const RUNS = 3;
const MEGABYTE = 1_000_000;

/** A form: samples to bytes and back to samples. */
interface Form {
  name: string;
  write(pixels: Pixels): Promise<Buffer>;
  read(bytes: Buffer): Promise<unknown>;
}

export interface IntermediateFigures {
  form: string;
  megapixels: number;
  writeMs: number;
  readMs: number;
  megabytes: number;
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const samplesOf = (bytes: Buffer) => sharp(bytes).raw().toBuffer();

const FORMS: Form[] = [
  {
    name: 'raw (chosen)',
    write: (pixels) => packIntermediate(pixels, sourceOf(pixels)),
    read: async (bytes) => (await unpackIntermediate(bytes, DEFAULT_LIMITS)).pixels(),
  },
  ...[-3, 1, 3].map((level) => ({
    name: `raw + zstd ${level}`,
    write: async (pixels: Pixels) =>
      compress(await packIntermediate(pixels, sourceOf(pixels)), {
        params: { [constants.ZSTD_c_compressionLevel]: level },
      }),
    read: async (bytes: Buffer) =>
      (await unpackIntermediate(await decompress(bytes), DEFAULT_LIMITS)).pixels(),
  })),
  {
    name: 'PNG level 1',
    write: (pixels) => pipelineOver(pixels).png({ compressionLevel: 1 }).toBuffer(),
    read: samplesOf,
  },
  {
    name: 'uncompressed TIFF',
    write: (pixels) => pipelineOver(pixels).tiff({ compression: 'none' }).toBuffer(),
    read: samplesOf,
  },
  {
    name: 'lossless WebP, effort 0',
    write: (pixels) => pipelineOver(pixels).webp({ lossless: true, effort: 0 }).toBuffer(),
    read: samplesOf,
  },
];

/** Prints the table of every form at every size and returns its figures. One image thread; the best of three runs. */
export async function benchIntermediates(
  sizes: readonly [number, number][] = [
    [4000, 3000],
    [1500, 1000],
    [640, 480],
  ],
): Promise<IntermediateFigures[]> {
  sharp.concurrency(1);
  const figures: IntermediateFigures[] = [];
  for (const [width, height] of sizes) {
    const photo = await photoOf(width, height);
    for (const form of FORMS) figures.push(await measure(form, photo));
  }
  printTable(
    ['megapixels', 'form', 'write ms', 'read ms', 'MB'],
    figures.map(({ megapixels, form, writeMs, readMs, megabytes }) => [
      megapixels.toFixed(1),
      form,
      writeMs.toFixed(1),
      readMs.toFixed(1),
      megabytes.toFixed(2),
    ]),
  );
  return figures;
}

async function measure(form: Form, pixels: Pixels): Promise<IntermediateFigures> {
  const file = path.join(tmpdir(), `darkroom-intermediate-${process.pid}`);
  let [writeMs, readMs, bytes] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    const packed = await form.write(pixels);
    await writeFile(file, packed);
    const written = performance.now();
    await form.read(await readFile(file));
    writeMs = Math.min(writeMs, written - start);
    readMs = Math.min(readMs, performance.now() - written);
    bytes = packed.length;
  }
  await rm(file);
  const megapixels = (pixels.width * pixels.height) / 1e6;
  return { form: form.name, megapixels, writeMs, readMs, megabytes: bytes / MEGABYTE };
}

async function photoOf(width: number, height: number): Promise<Pixels> {
  const { data, info } = await pipelineOver(await largePhoto())
    .resize(width, height)
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height, channels: 3 };
}

if (import.meta.main) await benchIntermediates();
