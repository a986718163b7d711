/** Images of a few letters: an input's bytes, and behind them the name of each filter that has been applied. */
import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { Rejection } from '../../../runtime/errors.ts';
import type { Task } from '../../../runtime/task/task.ts';

export class DamagedIntermediate extends Rejection {}

interface Letters {
  letters: string;
  source: { format: string; width: number; height: number; bytes: number };
}

interface LettersPlan {
  filters: string[];
  steps: { filter: { cost: 'light' | 'heavy' }; params: unknown }[];
  encoding: object;
}

export async function decode(bytes: Buffer): Promise<Letters> {
  const letters = bytes.toString();
  return { letters, source: { format: 'letters', width: 1, height: 1, bytes: bytes.length } };
}

/** As the real ones, damaged intermediates are told from whole ones. */
export function intermediatePieces(pixels: string): Buffer[] {
  return [Buffer.from(pixels), Buffer.from(`#${crc32(pixels)}`)];
}

export function freeSamples(): void {}

export async function unpackIntermediate(bytes: Buffer): Promise<Letters> {
  const [, pixels, checksum] = /^(.*)#(\d+)$/s.exec(bytes.toString()) ?? [];
  if (pixels === undefined || String(crc32(pixels)) !== checksum)
    throw new DamagedIntermediate('The intermediate is damaged.', { failureType: 'not-an-image' });
  return await decode(Buffer.from(pixels));
}

export async function planTask(task: Pick<Task, 'steps'>): Promise<LettersPlan> {
  const filters = task.steps.map(({ filter }) => filter);
  const steps = filters.map((name) => ({ filter: { cost: costOf(name) }, params: {} }));
  return { filters, steps, encoding: {} };
}

/** By the mode `light`, the second step is carried and the third is not. */
function costOf(filter: string): 'light' | 'heavy' {
  return filter === 'blur' ? 'light' : 'heavy';
}

export class CarriedImage implements Letters {
  readonly letters: string;
  readonly source: Letters['source'];

  constructor(letters: string, source: Letters['source']) {
    this.letters = letters;
    this.source = source;
  }

  async pixels(): Promise<string> {
    return this.letters;
  }

  release(): void {}
}

export async function renderStep(plan: LettersPlan, step: number, { letters, source }: Letters) {
  const result = `${letters}>${plan.filters[step]}`;
  const timings = { decode: 0, filter: 0, encode: 0 };
  if (step < plan.filters.length - 1) return { kind: 'pixels' as const, pixels: result, source, timings };
  const file = { bytes: Buffer.from(result), format: 'png', contentType: 'image/png', extension: 'png' };
  return { kind: 'file' as const, file, timings };
}
