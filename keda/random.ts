/** Small seeded random numbers: the same seed gives the same run on every machine. */

/** One step of mulberry32 (public domain, Tommy Ettinger): a number from 0 up to 1, and the seed that follows. */
export function nextRandom(seed: number): { value: number; seed: number } {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296, seed: next };
}

/** A stream of numbers from 0 up to 1. `stream` separates independent uses of one seed. */
export function randomStream(seed: number, stream = 0): () => number {
  let state = (seed ^ Math.imul(stream + 1, 0x9e3779b1)) | 0;
  return () => {
    const step = nextRandom(state);
    state = step.seed;
    return step.value;
  };
}
