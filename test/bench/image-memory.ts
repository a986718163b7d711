/**
 * How much memory images take while they are worked on, bytes a pixel: what `runtime/image/limits.ts` counts with.
 * `node test/bench/image-memory.ts`; Linux.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp, { type Sharp } from 'sharp';
import { decode } from '../../runtime/image/decode.ts';
import { DEFAULT_LIMITS } from '../../runtime/image/limits.ts';
import { planTask, renderStep } from '../../runtime/image/pipeline.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const SIDE = 4_000;
const PIXELS = SIDE * SIDE;
const FUNCTIONS_DIR = fileURLToPath(new URL('../../functions', import.meta.url));
const LIMITS = { ...DEFAULT_LIMITS, threads: 1 };

/** Small files of large images. */
const FILES: Record<string, (flat: (channels: 3 | 4) => Sharp) => Sharp> = {
  JPEG: (flat) => flat(3).jpeg(),
  'JPEG, progressive': (flat) => flat(3).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }),
  PNG: (flat) => flat(4).png(),
  'PNG, 16 bits': (flat) => flat(4).toColourspace('rgb16').png(),
  'PNG, 16 bits, interlaced': (flat) => flat(4).toColourspace('rgb16').png({ progressive: true }),
  WebP: (flat) => flat(4).webp({ effort: 0 }),
  'AVIF, 4:2:0': (flat) => flat(3).avif({ effort: 0, chromaSubsampling: '4:2:0' }),
  'AVIF, transparent': (flat) => flat(4).avif({ effort: 0 }),
  'TIFF, float': (flat) => flat(3).toColourspace('scrgb').tiff(),
  GIF: (flat) => flat(3).gif(),
};

const STEPS: [filter: string, params: object, words: string][] = [
  ['resize', { width: 100 }, 'decoded'],
  ['blur', { radius: 2 }, 'blurred'],
  ['sharpen', { radius: 2 }, 'sharpened'],
];

if (process.argv[2] === undefined) await measureAll();
else console.log(await measureOne(process.argv[2], process.argv[3]!, process.argv[4]!));

async function measureAll(): Promise<void> {
  await using folder = await temporaryFolder();
  for (const [name, write] of Object.entries(FILES)) {
    const file = join(folder.path, 'image');
    await writeFile(file, await write(flatImage).toBuffer());
    const figures: string[] = [];
    for (const [filter, params, words] of STEPS) {
      // A process each: what one image leaves behind would be counted to the next.
      const run = [fileURLToPath(import.meta.url), file, filter, JSON.stringify(params)];
      const { stdout } = await promisify(execFile)(process.execPath, run);
      figures.push(`${words} ${stdout.trim()}`);
    }
    console.log(`${name.padEnd(26)} ${figures.join('   ')}`);
  }
}

function flatImage(channels: 3 | 4): Sharp {
  const background = { r: 200, g: 90, b: 20, alpha: 0.6 };
  return sharp({ create: { width: SIDE, height: SIDE, channels, background } });
}

/** The highest memory during one step over what it was before, bytes a pixel. */
async function measureOne(file: string, filter: string, params: string): Promise<string> {
  const steps = [{ filter, params: JSON.parse(params) as Record<string, unknown> }];
  const plan = await planTask({ steps, output: { format: 'png' } }, FUNCTIONS_DIR);
  await flatImage(3).resize(8).png().toBuffer();
  const bytes = readFileSync(file);
  const before = residentBytes('VmRSS');
  writeFileSync('/proc/self/clear_refs', '5');
  const context = {
    taskId: 'memory',
    step: 0,
    signal: new AbortController().signal,
    load: () => Promise.reject(new Error('there is no second image')),
  };
  await renderStep(plan, 0, await decode(bytes, LIMITS), context, LIMITS);
  return ((residentBytes('VmHWM') - before) / PIXELS).toFixed(1);
}

function residentBytes(field: string): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024;
}
