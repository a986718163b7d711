/** Measures what the runtime adds to the image library on its own: a 12-megapixel JPEG to 720 pixels. */
import sharp from 'sharp';
import { loadFunction, parseParams } from '../../runtime/functions.ts';
import { decode } from '../../runtime/image/decode.ts';
import { encode } from '../../runtime/image/encode.ts';
import { DEFAULT_LIMITS } from '../../runtime/image/limits.ts';
import { applyFilter } from '../../runtime/image/pipeline.ts';
import { largePhoto } from '../support/large-photo.ts';
import { pipelineOver } from '../support/pictures.ts';
import { median } from './row.ts';

const ROUNDS = 30;
const WIDTH = 720;

export interface OverheadFigures {
  bareMs: number;
  darkroomMs: number;
  /** Bare time over ours; 1 means that nothing is added. */
  ratio: number;
}

/** Takes turns, bare and through the runtime, one image thread; prints and returns the medians. */
export async function benchResizeOverhead(): Promise<OverheadFigures> {
  const photo = await pipelineOver(await largePhoto())
    .jpeg({ quality: 90 })
    .toBuffer();
  sharp.cache(false);
  const limits = { ...DEFAULT_LIMITS, threads: 1 };
  const filter = await loadFunction('resize');
  const params = parseParams(filter, { width: WIDTH }, 'params');
  const context = {
    taskId: 'bench',
    step: 0,
    signal: new AbortController().signal,
    load: () => Promise.reject(new Error('nothing to load')),
  };
  const bare = () => sharp(photo).resize(WIDTH).jpeg().toBuffer();
  const darkroom = async () => {
    const image = await decode(photo, limits);
    const step = await applyFilter(filter, image, params, context, limits);
    if (step.kind === 'json') throw new Error('resize gives an image');
    return encode(step.result, image, {}, limits);
  };
  await darkroom();
  await bare();
  const times: [number, number][] = [];
  for (let round = 0; round < ROUNDS; round++) times.push([await timed(bare), await timed(darkroom)]);
  const bareMs = median(times.map(([time]) => time));
  const darkroomMs = median(times.map(([, time]) => time));
  const figures = { bareMs, darkroomMs, ratio: bareMs / darkroomMs };
  console.log(
    `bare ${bareMs.toFixed(1)} ms, Darkroom ${darkroomMs.toFixed(1)} ms: ${(figures.ratio * 100).toFixed(1)} % of the library's speed`,
  );
  return figures;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

if (import.meta.main) await benchResizeOverhead();
