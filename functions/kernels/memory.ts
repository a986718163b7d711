/**
 * Lends out memory for samples and takes it back as soon as a step is done with them. Left to the garbage
 * collector they would pile up, and memory that the process has not touched yet costs several times what filling
 * it does.
 */
import type { Pixels } from '../../runtime/filter.ts';

const MEBIBYTE = 1024 * 1024;
/** Smaller samples are not worth keeping room for, larger ones too much to keep. */
const SPARE_MIN_BYTES = MEBIBYTE;
const SPARE_MAX_BYTES = 64 * MEBIBYTE;
/** For how long room is kept after the last samples were released. */
const SPARE_MS = 1_000;

/** Whose memory may be freed, and whether it may be lent out again. */
const owned = new WeakMap<ArrayBufferLike, { reusable: boolean }>();
let spare: ArrayBuffer | undefined;
let expiry: NodeJS.Timeout | undefined;

/** Room for `length` samples of the same depth as `data`. What is in it is unspecified: every sample must be set. */
export function roomFor(data: Pixels['data'], length: number): Pixels['data'] {
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

/** Marks samples that came from elsewhere as made for one step, so that {@link release} may free them. */
export function own<Data extends Pixels['data']>(data: Data): Data {
  if (data.byteLength === data.buffer.byteLength) owned.set(data.buffer, { reusable: false });
  return data;
}

/** Keeps samples from being freed: something outlasts the step that they were made for. */
export function keep({ data }: Pixels): void {
  owned.delete(data.buffer);
}

/** Frees samples that nothing uses any more; those that are not owned are left alone. Who still has them finds none. */
export function release({ data: { buffer } }: Pixels): void {
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
