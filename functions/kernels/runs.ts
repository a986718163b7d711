/** Passes 8-bit pixels through a kernel that looks at one pixel at a time. */
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { kernels } from './module.ts';

const RUN_PIXELS = 16384;

/**
 * Calls `run(source, target, pixels)` for every run of pixels: `inBytes` for each pixel are at `source`, and the
 * `outBytes` a pixel that it leaves at `target` are returned for the whole image.
 */
export function inRuns(
  data: Uint8Array,
  inBytes: number,
  outBytes: number,
  run: (source: number, target: number, pixels: number) => void,
): Uint8Array {
  const { heap, place } = kernels();
  const [source, target] = place(RUN_PIXELS * inBytes, RUN_PIXELS * outBytes);
  const count = data.length / inBytes;
  const out = allocateLike(data, count * outBytes) as Uint8Array;
  for (let first = 0; first < count; first += RUN_PIXELS) {
    const pixels = Math.min(RUN_PIXELS, count - first);
    heap.set(data.subarray(first * inBytes, (first + pixels) * inBytes), source);
    run(source, target, pixels);
    out.set(heap.subarray(target, target + pixels * outBytes), first * outBytes);
  }
  return out;
}
