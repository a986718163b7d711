/** Brings regions of any samples into the kernels' memory as floats, and takes them out again. */
import { kernels } from './module.ts';
import { maximumOf } from './samples.ts';
import { loadRegion, type Region, type Samples, storeRegion } from './tiles.ts';

/** The address of a region's floats, and half as much room for its samples as they are stored. */
export interface FloatTile {
  floats: number;
  stage: number;
  /** Bytes from one row of floats to the next. */
  stride: number;
  /** Multiplies colour by alpha on the way in and divides it on the way out; ignored between float images. */
  weighted: boolean;
}

export function loadFloats(
  from: Samples,
  region: Region,
  { floats, stage, stride, weighted }: FloatTile,
): void {
  const { run } = kernels();
  const { data, channels } = from;
  if (data instanceof Float32Array) {
    loadRegion(from, region, floats, stride);
    return;
  }
  const widen = data instanceof Uint8Array ? run.floatsFromBytes : run.floatsFromWords;
  loadRegion(from, region, stage, stride / 2);
  widen(stage, stride / 2, region.width * channels, region.height, floats, stride);
  if (weighted) run.premultiply(floats, stride, region.width, region.height, channels, maximumOf(data));
}

export function storeFloats(
  to: Samples,
  region: Region,
  { floats, stage, stride, weighted }: FloatTile,
): void {
  const { run } = kernels();
  const { data, channels } = to;
  if (data instanceof Float32Array) {
    storeRegion(to, region, floats, stride);
    return;
  }
  if (weighted) run.unpremultiply(floats, stride, region.width, region.height, channels, maximumOf(data));
  const narrow = data instanceof Uint8Array ? run.bytesFromFloats : run.wordsFromFloats;
  narrow(floats, stride, region.width * channels, region.height, stage, stride / 2);
  storeRegion(to, region, stage, stride / 2);
}
