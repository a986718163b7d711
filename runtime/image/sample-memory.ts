/**
 * The memory of samples: handed out by size, and taken back as soon as a step is done with them. Left to the garbage
 * collector, samples would pile up, and memory that the process has not touched yet costs several times what filling
 * it does.
 */
import { setFlagsFromString } from 'node:v8';
import type { Pixels } from '../filter.ts';

// V8 counts samples as its own heap's: with its usual growth a photo or two made it look through the whole heap, which
// took a quarter of the time of the lighter filters and freed nothing.
setFlagsFromString('--heap-growing-percent=400');

const MEBIBYTE = 1024 * 1024;
/** Smaller buffers are not worth keeping, larger ones are too much to keep. */
const SPARE_MIN_BYTES = MEBIBYTE;
const SPARE_MAX_BYTES = 64 * MEBIBYTE;
/** How long the spare memory is kept after the last samples were freed. */
const SPARE_MS = 1_000;

/** Buffers that may be freed, and whether they may be handed out again. */
const owned = new WeakMap<ArrayBufferLike, { reusable: boolean }>();
let spare: ArrayBuffer | undefined;
let expiry: NodeJS.Timeout | undefined;

/** `length` samples of the same depth as `data`. What is in them is unspecified: every sample must be set. */
export function allocateLike(data: Pixels['data'], length: number = data.length): Pixels['data'] {
  const bytes = length * data.BYTES_PER_ELEMENT;
  const buffer = takeSpare(bytes) ?? new ArrayBuffer(bytes);
  owned.set(buffer, { reusable: true });
  return data instanceof Uint8Array ? new Uint8Array(buffer, 0, length) : new Uint16Array(buffer, 0, length);
}

function takeSpare(bytes: number): ArrayBuffer | undefined {
  if (spare === undefined || bytes < SPARE_MIN_BYTES || bytes > spare.byteLength) return undefined;
  const taken = spare;
  spare = undefined;
  return taken;
}

/** Marks samples that came from elsewhere as made for one step, so that {@link freeSamples} may free them. */
export function adoptSamples<Data extends Pixels['data']>(data: Data): Data {
  if (data.byteLength === data.buffer.byteLength) owned.set(data.buffer, { reusable: false });
  return data;
}

/** Keeps samples from being freed: they are needed after the step that they were made for. */
export function keepSamples({ data }: Pixels): void {
  owned.delete(data.buffer);
}

/** Keeps samples from being freed for as long as several steps use them. @returns frees them, where a step made them */
export function borrowSamples(pixels: Pixels): () => void {
  const { buffer } = pixels.data;
  const ownership = owned.get(buffer);
  owned.delete(buffer);
  return () => {
    if (ownership !== undefined) owned.set(buffer, ownership);
    freeSamples(pixels);
  };
}

/** Frees samples that nothing uses any more: their array is empty from now on. Samples that no step made are kept. */
export function freeSamples({ data: { buffer } }: Pixels): void {
  const ownership = owned.get(buffer);
  if (ownership === undefined || !(buffer instanceof ArrayBuffer)) return;
  owned.delete(buffer);
  if (!ownership.reusable || !isWorthKeeping(buffer.byteLength)) {
    buffer.transfer(0);
    return;
  }
  spare?.transfer(0);
  spare = buffer.transfer();
  clearTimeout(expiry);
  expiry = setTimeout(dropSpare, SPARE_MS).unref();
}

function isWorthKeeping(bytes: number): boolean {
  return bytes >= Math.max(SPARE_MIN_BYTES, spare?.byteLength ?? 0) && bytes <= SPARE_MAX_BYTES;
}

function dropSpare(): void {
  spare?.transfer(0);
  spare = undefined;
}
