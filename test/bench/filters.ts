/**
 * Each filter's milliseconds of CPU time for a photo of 12 megapixels on one core, against Pillow or OpenCV in the
 * same run. CPU time, and not the clock's, so that whatever else the machine does counts little.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import type { Image, Pixels } from '../../runtime/filter.ts';
import { FUNCTIONS_DIR } from '../../runtime/functions.ts';
import { decode } from '../../runtime/image/decode.ts';
import { packIntermediate, unpackIntermediate } from '../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../runtime/image/limits.ts';
import { applyFilter, materialize, planTask, renderStep } from '../../runtime/image/pipeline.ts';
import { freeSamples } from '../../runtime/image/sample-memory.ts';
import { imageEnvironment } from '../../runtime/worker/start-child.ts';
import { largePhoto, largePhotoJpeg } from '../support/large-photo.ts';
import { pipelineOver, sourceOf } from '../support/pictures.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Bench, type BenchmarkRow, median } from './row.ts';

/** Runs that load and compile, and do not count: a worker's child goes on for a thousand tasks. */
const WARM_UPS = 3;
const RUNS = 5;
const PYTHON = '/usr/bin/python3';
const HERE = fileURLToPath(import.meta.url);
const PEERS = fileURLToPath(new URL('peers.py', import.meta.url));
const LIMITS = { ...DEFAULT_LIMITS, threads: 1 };

/** What is measured, by the name that the peers' figures have too. */
const CASES: Record<string, { filter: string; params: Record<string, unknown> }> = {
  resize: { filter: 'resize', params: { width: 720, height: 536, fit: 'fill' } },
  'blur 2': { filter: 'blur', params: { radius: 2 } },
  'blur 5': { filter: 'blur', params: { radius: 5 } },
  'blur 20': { filter: 'blur', params: { radius: 20 } },
  brightness: { filter: 'brightness', params: { factor: 1.3 } },
  contrast: { filter: 'contrast', params: { factor: 1.3 } },
  saturation: { filter: 'saturation', params: { factor: 1.3 } },
  grayscale: { filter: 'grayscale', params: {} },
  'sharpen factor': { filter: 'sharpen', params: { factor: 1.5 } },
  'sharpen mask': { filter: 'sharpen', params: { radius: 2, amount: 150, threshold: 3 } },
  'edges canny': { filter: 'edges', params: { method: 'canny', low: 100, high: 200 } },
  'edges sobel': { filter: 'edges', params: { method: 'sobel' } },
  'edges laplacian': { filter: 'edges', params: { method: 'laplacian' } },
  'rotate 10': { filter: 'rotate', params: { angle: 10 } },
  flip: { filter: 'flip', params: {} },
  watermark: { filter: 'watermark', params: { image: 'overlay', position: 'northwest', scale: 0.1 } },
};

/** Milliseconds of CPU time. */
interface Times {
  /** Over decoded samples in memory. */
  alone: number;
  /** From a JPEG's bytes to a JPEG's bytes. */
  whole: number;
}

interface PeerFigures {
  figures: Record<string, Times & { peer: string }>;
  pillow: string;
  opencv: string;
}

/**
 * Ours and theirs take turns, each alone on the first core: each filter over samples, and from photo to photo. Ours in
 * the environment of a worker's child, theirs as they come.
 */
export async function benchFilters({ rounds }: Bench): Promise<BenchmarkRow[]> {
  await using folder = await temporaryFolder();
  const photo = join(folder.path, 'photo.jpg');
  await writeFile(photo, await largePhotoJpeg());
  const ours: Record<string, Times>[] = [];
  const theirs: PeerFigures[] = [];
  const env = imageEnvironment(process.env, 1);
  for (let round = 0; round < rounds; round++) {
    console.error(`  round ${round + 1} of ${rounds}`);
    ours.push(JSON.parse(await onOneCore(env, process.execPath, HERE, photo)) as Record<string, Times>);
    const peers = await onOneCore(process.env, PYTHON, PEERS, photo, String(RUNS)).catch(
      (error: Error) => error,
    );
    if (peers instanceof Error)
      console.error(
        `no peers to compare with: ${PYTHON} needs PIL and cv2 (${peers.message.trim().split('\n').at(-1)})`,
      );
    else theirs.push(JSON.parse(peers) as PeerFigures);
  }
  return (['whole', 'alone'] as const).flatMap((scope) =>
    Object.keys(CASES).map((name) => rowOf(name, scope, ours, theirs)),
  );
}

function rowOf(
  name: string,
  scope: keyof Times,
  ours: Record<string, Times>[],
  theirs: PeerFigures[],
): BenchmarkRow {
  const mine = median(ours.map((round) => round[name]![scope]));
  const base = {
    name: `${name}, 12 MP, ${scope === 'whole' ? 'photo to photo' : 'filter alone'}`,
    unit: 'ms CPU',
    ours: mine,
  };
  const peer = theirs[0]?.figures[name]?.peer;
  if (peer === undefined) return { ...base, note: 'no peer here' };
  const other = median(theirs.map(({ figures }) => figures[name]![scope]));
  const library = peer.startsWith('OpenCV') ? `OpenCV ${theirs[0]?.opencv}` : `Pillow ${theirs[0]?.pillow}`;
  return {
    ...base,
    against: `${peer} (${library})`,
    theirs: other,
    ratio: other / mine,
    goal: '> 1',
    met: other > mine,
  };
}

async function onOneCore(env: NodeJS.ProcessEnv, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('taskset', ['-c', '0', command, ...args], {
    maxBuffer: 1e7,
    env,
  });
  return stdout;
}

/** Median milliseconds of CPU time of each case in this process. */
async function measureOurs(photo: Buffer): Promise<Record<string, Times>> {
  sharp.concurrency(1);
  const image = await imageOf(await largePhoto());
  const overlay = await imageOf(await scaled(image, 400));
  const context = {
    taskId: 'bench',
    step: 0,
    signal: new AbortController().signal,
    load: async () => overlay,
  };
  const figures: Record<string, Times> = {};
  for (const [name, step] of Object.entries(CASES)) {
    const plan = await planTask({ steps: [step], output: { format: 'jpeg', quality: 80 } }, FUNCTIONS_DIR);
    const { filter, params } = plan.steps[0]!;
    figures[name] = {
      alone: await medianMs(async () => {
        const applied = await applyFilter(filter, image, params, context, LIMITS);
        if ('result' in applied) freeSamples(await materialize(applied.result, image, LIMITS));
      }),
      whole: await medianMs(async () => renderStep(plan, 0, await decode(photo, LIMITS), context, LIMITS)),
    };
  }
  return figures;
}

async function medianMs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < WARM_UPS + RUNS; run++) {
    const start = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(start);
    if (run >= WARM_UPS) times.push((user + system) / 1000);
  }
  return median(times);
}

async function imageOf(pixels: Pixels): Promise<Image> {
  return await unpackIntermediate(await packIntermediate(pixels, sourceOf(pixels)), LIMITS);
}

async function scaled(image: Image, width: number): Promise<Pixels> {
  const { data, info } = await pipelineOver(await image.pixels())
    .resize({ width })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height, channels: 4 };
}

if (import.meta.main) console.log(JSON.stringify(await measureOurs(await readFile(process.argv[2]!))));
