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
  const out = allocateLike(data, (data.length / inBytes) * outBytes) as Uint8Array;
  const { heap } = kernels();
  forRuns(data, inBytes, outBytes, (source, target, pixels, first) => {
    run(source, target, pixels);
    out.set(heap.subarray(target, target + pixels * outBytes), first * outBytes);
  });
  return out;
}

/** Calls `visit(source, room, pixels, first)` for every run, with room for `roomBytes` a pixel; `first` is its pixel's index. */
export function forRuns(
  data: Uint8Array,
  inBytes: number,
  roomBytes: number,
  visit: (source: number, room: number, pixels: number, first: number) => void,
): void {
  const { heap, place } = kernels();
  const [source, room] = place(RUN_PIXELS * inBytes, RUN_PIXELS * roomBytes);
  const count = data.length / inBytes;
  for (let first = 0; first < count; first += RUN_PIXELS) {
    const pixels = Math.min(RUN_PIXELS, count - first);
    heap.set(data.subarray(first * inBytes, (first + pixels) * inBytes), source);
    visit(source, room, pixels, first);
  }
}
