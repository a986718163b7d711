/**
 * Frees samples as soon as a step is done with them. Left to the garbage collector they would pile up, and memory
 * that the process has not touched yet costs several times what filling it does.
 */
import type { Pixels } from '../../filter.ts';

const owned = new WeakSet<ArrayBufferLike>();

/** Marks samples as made for one step, so that {@link release} may free them. */
export function own<Data extends Pixels['data']>(data: Data): Data {
  if (data.byteLength === data.buffer.byteLength) owned.add(data.buffer);
  return data;
}

/** Keeps samples from being freed: something outlasts the step that they were made for. */
export function keep({ data }: Pixels): void {
  owned.delete(data.buffer);
}

/** Frees samples that nothing uses any more; those that are not {@link own}ed are left alone. */
export function release({ data }: Pixels): void {
  const { buffer } = data;
  if (owned.delete(buffer) && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
