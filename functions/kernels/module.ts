/** Loads the compiled kernels on first use and lends out their memory, which has a fixed size. */
import { readFileSync } from 'node:fs';

/** The functions of `wasm/index.as.ts`: addresses, strides in bytes, counts. */
type Kernel = (...numbers: number[]) => number;

export interface Kernels {
  readonly heap: Uint8Array;
  readonly run: Record<KernelName, Kernel>;
  /**
   * Lays out one buffer per size (bytes) from the start of the memory and returns their addresses, which hold
   * until the next call. Each has 64 spare bytes before and after it, as the kernels work 16 samples at a time.
   */
  place<Sizes extends number[]>(...sizes: Sizes): { [Index in keyof Sizes]: number };
}

export type KernelName =
  | 'blend'
  | 'blurBytes'
  | 'blurFloats'
  | 'bytesFromFloats'
  | 'canny'
  | 'extendRows'
  | 'floatsFromBytes'
  | 'floatsFromWords'
  | 'greyInPlace'
  | 'grow'
  | 'laplacian'
  | 'luma'
  | 'lumaRows'
  | 'mirrorRows'
  | 'premultiply'
  | 'shrink'
  | 'smooth'
  | 'sobel'
  | 'sum'
  | 'turn'
  | 'unpremultiply'
  | 'unsharp'
  | 'wordsFromFloats';

/** The part of the WebAssembly API used here; Node's own types leave it to the browser's. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: object };
};

const SPARE_BYTES = 64;

let loaded: Kernels | undefined;

/** The kernels, compiled once for each process (about a millisecond, a few kilobytes). */
export function kernels(): Kernels {
  loaded ??= load();
  return loaded;
}

function load(): Kernels {
  const module = new WebAssembly.Module(readFileSync(new URL('wasm/kernels.wasm', import.meta.url)));
  const { memory, ...run } = new WebAssembly.Instance(module).exports as Record<KernelName, Kernel> & {
    memory: { buffer: ArrayBuffer };
  };
  const heap = new Uint8Array(memory.buffer);
  const place = <Sizes extends number[]>(...sizes: Sizes) => {
    let next = SPARE_BYTES;
    const addresses = sizes.map((size) => {
      const address = next;
      next = align(address + size + SPARE_BYTES, 16);
      if (next > heap.length)
        throw new RangeError(`Kernel buffers of ${sizes.join(' + ')} bytes do not fit.`);
      return address;
    });
    return addresses as { [Index in keyof Sizes]: number };
  };
  return { heap, run, place };
}

/** The next multiple of `step`, a power of two. */
export function align(bytes: number, step: number): number {
  return (bytes + step - 1) & -step;
}
