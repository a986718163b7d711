/** Measures of how alike two images are. Both must have the same size, channels and depth. */
import type { Pixels } from '../../runtime/filter.ts';

/** The largest difference of any sample, in levels of the images' own depth. */
export function maxDiff(a: Pixels, b: Pixels): number {
  checkShapes(a, b);
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) largest = Math.max(largest, Math.abs(a.data[i]! - b.data[i]!));
  return largest;
}

/** Peak signal-to-noise ratio over all samples, decibels; Infinity when they are equal. */
export function psnr(a: Pixels, b: Pixels): number {
  checkShapes(a, b);
  let squares = 0;
  for (let i = 0; i < a.data.length; i++) squares += (a.data[i]! - b.data[i]!) ** 2;
  return 10 * Math.log10((peak(a) ** 2 * a.data.length) / squares);
}

const WINDOW = 8;

/**
 * Mean structural similarity (Wang et al. 2004) over 8 × 8 windows four pixels apart, each channel on its own;
 * 1 when equal. Images smaller than a window count as one window.
 */
export function ssim(a: Pixels, b: Pixels): number {
  checkShapes(a, b);
  let sum = 0;
  let windows = 0;
  for (let top = 0; top === 0 || top + WINDOW <= a.height; top += WINDOW / 2) {
    for (let left = 0; left === 0 || left + WINDOW <= a.width; left += WINDOW / 2) {
      for (let channel = 0; channel < a.channels; channel++, windows++) {
        sum += windowSimilarity(a, b, left, top, channel);
      }
    }
  }
  return sum / windows;
}

function windowSimilarity(a: Pixels, b: Pixels, left: number, top: number, channel: number): number {
  let [count, sumA, sumB, sumAA, sumBB, sumAB] = [0, 0, 0, 0, 0, 0];
  for (let y = top; y < Math.min(top + WINDOW, a.height); y++) {
    for (let x = left; x < Math.min(left + WINDOW, a.width); x++) {
      const at = (y * a.width + x) * a.channels + channel;
      const [p, q] = [a.data[at]!, b.data[at]!];
      count++;
      sumA += p;
      sumB += q;
      sumAA += p * p;
      sumBB += q * q;
      sumAB += p * q;
    }
  }
  const [meanA, meanB] = [sumA / count, sumB / count];
  const varianceA = sumAA / count - meanA * meanA;
  const varianceB = sumBB / count - meanB * meanB;
  const covariance = sumAB / count - meanA * meanB;
  const [c1, c2] = [(0.01 * peak(a)) ** 2, (0.03 * peak(a)) ** 2];
  const likeness = (2 * meanA * meanB + c1) * (2 * covariance + c2);
  return likeness / ((meanA * meanA + meanB * meanB + c1) * (varianceA + varianceB + c2));
}

function checkShapes(a: Pixels, b: Pixels): void {
  const [first, second] = [a, b].map((p) => `${p.width}×${p.height}×${p.channels} to ${peak(p)}`);
  if (first !== second) throw new Error(`cannot compare ${first} with ${second}`);
}

function peak({ data }: Pixels): number {
  return data instanceof Uint8Array ? 255 : 65535;
}
