/** The golden references that test/golden/make-references.py made, and how they are read. */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import type { Pixels } from '../../runtime/filter.ts';
import { maxDiff, psnr, ssim } from './compare.ts';

/** What a case demands of a result; `maxdiff` is in levels of the images' own depth. */
export type GoldenComparison =
  | { kind: 'exact' }
  | { kind: 'maxdiff'; atMost: number }
  | { kind: 'psnr'; atLeast: number }
  | { kind: 'ssim'; atLeast: number };

export interface GoldenCase {
  name: string;
  /** The library that made the reference. */
  madeBy: string;
  filter: string;
  params: Record<string, unknown>;
  /** Paths in test/golden/. */
  input: string;
  reference: string;
  /** Further images that the parameters name. */
  inputs?: Record<string, string>;
  comparison: GoldenComparison;
  /** Whether colours are compared as they show, multiplied by their alpha. */
  premultiplied?: boolean;
  /** Whether the result may carry an alpha channel that hides nothing. */
  ignoreOpaqueAlpha?: boolean;
}

export const GOLDEN_CASES: readonly GoldenCase[] = JSON.parse(readGolden('manifest.json').toString());

export function readGolden(path: string): Buffer {
  return readFileSync(new URL(`../golden/${path}`, import.meta.url));
}

/** The samples of a PNG as they are stored. */
export async function readPixels(path: string): Promise<Pixels> {
  const file = sharp(readGolden(path));
  const { depth, channels } = await file.metadata();
  const isDeep = depth === 'ushort';
  // The library drops the alpha of grey samples, so those are read as colour.
  const space = channels === 1 ? (isDeep ? 'grey16' : 'b-w') : isDeep ? 'rgb16' : 'srgb';
  const raw = file.toColourspace(space).raw({ depth: isDeep ? 'ushort' : 'uchar' });
  const { data, info } = await raw.toBuffer({ resolveWithObject: true });
  const read = isDeep ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : new Uint8Array(data);
  const samples = channels === 2 ? read.filter((_, i) => i % 4 === 0 || i % 4 === 3) : read;
  return { data: samples, width: info.width, height: info.height, channels: channels as Pixels['channels'] };
}

/** Colour multiplied by alpha. */
export function premultiplied(pixels: Pixels): Pixels {
  const { data, channels } = pixels;
  const max = data instanceof Uint8Array ? 255 : 65535;
  const alphaOf = (i: number) => data[i - (i % channels) + channels - 1]! / max;
  return {
    ...pixels,
    data: data.map((sample, i) => (i % channels < channels - 1 ? sample * alphaOf(i) : sample)),
  };
}

/** Why the result is not what the case demands, or nothing. */
export function shortfall(golden: GoldenCase, result: Pixels, reference: Pixels): string | undefined {
  const { comparison } = golden;
  if (golden.premultiplied) {
    return shortfall({ ...golden, premultiplied: false }, premultiplied(result), premultiplied(reference));
  }
  if (comparison.kind === 'psnr' || comparison.kind === 'ssim') {
    const value = (comparison.kind === 'psnr' ? psnr : ssim)(result, reference);
    if (value >= comparison.atLeast) return undefined;
    return `${comparison.kind} ${value.toFixed(4)}, expected at least ${comparison.atLeast}`;
  }
  const allowed = comparison.kind === 'exact' ? 0 : comparison.atMost;
  const found = maxDiff(result, reference);
  return found <= allowed ? undefined : `differs by ${found} levels, expected at most ${allowed}`;
}
