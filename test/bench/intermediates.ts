/** Measures the lossless forms in which an image could travel between two steps, by way of each kind of storage. */
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import sharp from 'sharp';
import { printTable } from '../../runtime/cli/terminal.ts';
import type { Pixels } from '../../runtime/filter.ts';
import { intermediatePieces, unpackIntermediate } from '../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../runtime/image/limits.ts';
import { openStorage } from '../../runtime/storage/open.ts';
import { type Bytes, piecesOf, type Storage } from '../../runtime/storage/storage.ts';
import { largePhoto } from '../support/large-photo.ts';
import { pipelineOver, sourceOf } from '../support/pictures.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { startSlowS3 } from './peers/slow-s3.ts';
import { median } from './row.ts';

const RUNS = 5;
const MEGABYTE = 1_000_000;
/** 100 MB/s. */
const BYTES_PER_MS = 100_000;

/** A form: samples to bytes and back to samples. */
interface Form {
  name: string;
  pack(pixels: Pixels): Promise<Bytes>;
  unpack(bytes: Buffer): Promise<unknown>;
}

interface Place {
  name: string;
  storage: Storage;
  /** Makes the place what its name says. */
  prepare(): Promise<void>;
}

export interface IntermediateFigures {
  megapixels: number;
  form: string;
  place: string;
  megabytes: number;
  /** Of packing, writing, reading and unpacking, milliseconds of this process. */
  cpuMs: number;
  /** Of the same, as the clock shows it. */
  hopMs: number;
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const pack = async (pixels: Pixels) => intermediatePieces(pixels, sourceOf(pixels));
const unpack = async (bytes: Buffer) => (await unpackIntermediate(bytes, DEFAULT_LIMITS)).pixels();
const samplesOf = (bytes: Buffer) => sharp(bytes).raw().toBuffer();

const FORMS: Form[] = [
  { name: 'raw (chosen)', pack, unpack },
  ...[-3, 1, 3].map((level) => ({
    name: `raw + zstd ${level}`,
    pack: async (pixels: Pixels) =>
      compress(Buffer.concat(await pack(pixels)), {
        params: { [constants.ZSTD_c_compressionLevel]: level },
      }),
    unpack: async (bytes: Buffer) => unpack(await decompress(bytes)),
  })),
  {
    name: 'PNG level 1',
    pack: (pixels) => pipelineOver(pixels).png({ compressionLevel: 1 }).toBuffer(),
    unpack: samplesOf,
  },
  {
    name: 'uncompressed TIFF',
    pack: (pixels) => pipelineOver(pixels).tiff({ compression: 'none' }).toBuffer(),
    unpack: samplesOf,
  },
];

/** Prints the table of every form at every size and place, and returns its figures. One image thread; medians. */
export async function benchIntermediates(
  sizes: readonly [number, number][] = [
    [4000, 3000],
    [1500, 1000],
  ],
): Promise<IntermediateFigures[]> {
  sharp.concurrency(1);
  await using folder = await temporaryFolder();
  await using s3 = await startSlowS3();
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = s3.env;
  const bucket = await openStorage(s3.url, { credentials: { accessKeyId, secretAccessKey } });
  const slow = (ms: number): Place => ({
    name: `S3 at ${ms} ms`,
    storage: bucket,
    prepare: () => s3.delay(ms, BYTES_PER_MS),
  });
  const file = await openStorage(path.join(folder.path, 'files'));
  const places = [{ name: 'file', storage: file, prepare: async () => {} }, slow(5), slow(40)];
  const figures: IntermediateFigures[] = [];
  for (const [width, height] of sizes) {
    const photo = await photoOf(width, height);
    for (const place of places) for (const form of FORMS) figures.push(await measure(form, place, photo));
  }
  printTable(
    ['megapixels', 'form', 'by', 'MB', 'CPU ms', 'ms'],
    figures.map(({ megapixels, form, place, megabytes, cpuMs, hopMs }) => [
      megapixels.toFixed(1),
      form,
      place,
      megabytes.toFixed(1),
      cpuMs.toFixed(0),
      hopMs.toFixed(0),
    ]),
  );
  return figures;
}

async function measure(form: Form, { name, storage, prepare }: Place, pixels: Pixels) {
  await prepare();
  const [cpuMs, hopMs]: [number[], number[]] = [[], []];
  let bytes = 0;
  for (let run = 0; run < RUNS; run++) {
    const [usage, start] = [process.cpuUsage(), performance.now()];
    const packed = await form.pack(pixels);
    await storage.write('image', packed, { hasChecksum: true });
    await form.unpack(await storage.read('image'));
    hopMs.push(performance.now() - start);
    const { user, system } = process.cpuUsage(usage);
    cpuMs.push((user + system) / 1_000);
    bytes = piecesOf(packed).reduce((sum, { length }) => sum + length, 0);
  }
  const megapixels = (pixels.width * pixels.height) / 1e6;
  const medians = { cpuMs: median(cpuMs), hopMs: median(hopMs) };
  return { form: form.name, place: name, megapixels, megabytes: bytes / MEGABYTE, ...medians };
}

async function photoOf(width: number, height: number): Promise<Pixels> {
  const { data, info } = await pipelineOver(await largePhoto())
    .resize(width, height)
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height, channels: 3 };
}

if (import.meta.main) await benchIntermediates();
