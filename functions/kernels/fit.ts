/** How large an image becomes when it is fitted into a size, and the pipeline that makes it so. */
import sharp, { type Sharp } from 'sharp';
import type { Image } from '../../runtime/filter.ts';
import { enlarge } from './enlarge.ts';

export const FITS = ['cover', 'contain', 'fill', 'inside', 'outside'] as const;

export interface Fitting {
  /** At least one side is given; the other follows. */
  width?: number | undefined;
  height?: number | undefined;
  fit: (typeof FITS)[number];
  /** Whether a smaller image is made larger. */
  enlarge: boolean;
}

interface Size {
  width: number;
  height: number;
}

/** With one side given there is nothing to cut, pad or distort: the other follows. */
export function effectiveFit({ width, height, fit }: Fitting): Fitting['fit'] {
  return width === undefined || height === undefined ? 'inside' : fit;
}

/** The size of the result. */
export function fittedSize(image: Size, fitting: Fitting): Size {
  const scaled = scaledSize(image, fitting);
  const fit = effectiveFit(fitting);
  if (fit !== 'cover' && fit !== 'contain') return scaled;
  const frame = { width: fitting.width ?? scaled.width, height: fitting.height ?? scaled.height };
  if (fit === 'contain') return frame;
  return { width: Math.min(frame.width, scaled.width), height: Math.min(frame.height, scaled.height) };
}

/**
 * A pipeline over the image that the library's `resize` only has to shrink, cut or pad. What must grow is
 * enlarged first: the library's own enlarging lies half a pixel off.
 */
export async function fittingPipeline(image: Image, fitting: Fitting): Promise<Sharp> {
  const { width, height } = scaledSize(image, fitting);
  if (width <= image.width && height <= image.height) return image.pipeline();
  const { data, channels } = enlarge(await image.pixels(), width, height);
  const grey = image.bits === 16 ? 'grey16' : 'b-w';
  const colour = image.bits === 16 ? 'rgb16' : 'srgb';
  return sharp(data, { raw: { width, height, channels } }).toColourspace(channels < 3 ? grey : colour);
}

/** The size of the whole image before it is cut or padded. */
function scaledSize(image: Size, fitting: Fitting): Size {
  const { width, height } = fitting;
  const fit = effectiveFit(fitting);
  const across = width === undefined ? undefined : width / image.width;
  const down = height === undefined ? undefined : height / image.height;
  const least = Math.min(across ?? Number.POSITIVE_INFINITY, down ?? Number.POSITIVE_INFINITY);
  const most = Math.max(across ?? 0, down ?? 0);
  const even = fit === 'cover' || fit === 'outside' ? most : least;
  const cap = (scale: number) => (fitting.enlarge ? scale : Math.min(1, scale));
  const size = (side: number, scale: number) => Math.max(1, Math.round(side * cap(scale)));
  const [x, y] = fit === 'fill' ? [across ?? 1, down ?? 1] : [even, even];
  return { width: size(image.width, x), height: size(image.height, y) };
}
