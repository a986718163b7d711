/**
 * Gaussian blur, exact to one level at any radius. Small radii are convolved directly. For larger ones the image
 * is shrunk with a cubic B-spline, blurred there and grown back with the same spline: variances of successive
 * kernels add, so the blur in the middle is given what the splines have not done already.
 */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { convolve, convolveBytes } from './convolve.ts';
import { maximumOf } from './samples.ts';
import { grow, shrink, splineVariance } from './spline.ts';
import type { Samples } from './tiles.ts';

/** Above this standard deviation (pixels) shrinking costs less than convolving. */
const DIRECT_MAX_SIGMA = 6;
/** Shrinking by at most σ / 2.5 keeps the spline's departure from a Gaussian below 1/20 of a level. */
const SIGMAS_PER_SHRINK = 2.5;
const MAX_SHRINK = 8;

/**
 * Blurs with a Gaussian of standard deviation `sigma` pixels (0–1000; 0 changes nothing). Edges are
 * replicated. Every sample is within 1 level (257 at 16 bits) of the exact Gaussian; the cost does not grow
 * with `sigma`. Colour is weighted by alpha, so that hidden colours do not bleed.
 */
export function gaussianBlur(pixels: Pixels, sigma: number): Pixels {
  if (!(sigma > 0)) return pixels;
  const out = { ...pixels, data: allocateLike(pixels.data) };
  const weighted = isTranslucent(pixels);
  const areBytes = pixels.data instanceof Uint8Array;
  if (areBytes && !weighted && sigma <= DIRECT_MAX_SIGMA) convolveBytes(pixels, out, sigma);
  else blur(pixels, out, sigma, weighted);
  return out;
}

function isTranslucent({ data, channels }: Pixels): boolean {
  if (channels % 2 === 1) return false;
  const opaque = maximumOf(data);
  for (let i = channels - 1; i < data.length; i += channels) if (data[i] !== opaque) return true;
  return false;
}

function blur(from: Samples, to: Samples, sigma: number, weighted: boolean): void {
  if (sigma <= DIRECT_MAX_SIGMA) {
    convolve(from, to, sigma, weighted);
    return;
  }
  const factor = Math.min(MAX_SHRINK, Math.floor(sigma / SIGMAS_PER_SHRINK));
  const rest = Math.sqrt(sigma * sigma - 2 * splineVariance(factor)) / factor;
  const small = shrink(from, factor, weighted);
  const blurred = { ...small, data: new Float32Array(small.data.length) };
  blur(small, blurred, rest, false);
  grow(blurred, to, factor, weighted);
}
