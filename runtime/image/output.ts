/** What a filter returned, and whether it is within the limits. */
import type { Sharp } from 'sharp';
import { Rejection } from '../errors.ts';
import type { Pixels } from '../filter.ts';
import type { Limits } from './limits.ts';

export function isPipeline(result: Sharp | Pixels): result is Sharp {
  return 'toBuffer' in result;
}

/** @throws Rejection `limit-exceeded` */
export function checkOutputSize(size: { width: number; height: number }, limits: Limits): void {
  const pixels = size.width * size.height;
  if (pixels <= limits.outputPixels) return;
  throw new Rejection(
    `The result would have ${pixels.toLocaleString('en-US')} pixels (${size.width} × ${size.height}); the limit is ${limits.outputPixels.toLocaleString('en-US')}.`,
    { failureType: 'limit-exceeded' },
  );
}
