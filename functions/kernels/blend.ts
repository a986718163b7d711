/** The formula that all of Pillow's enhancers share. */

/**
 * Pillow's Blend.c: `base + factor × (sample − base)` in single precision, truncated and clipped to 0…`max`.
 * Factors beyond 0–1 extrapolate.
 */
export function blended(base: number, sample: number, factor: number, max: number): number {
  const change = Math.fround(Math.fround(factor) * (sample - base));
  return Math.min(max, Math.max(0, Math.trunc(Math.fround(base + change))));
}
