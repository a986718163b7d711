/** Sets the image library up once per process: no cache, trusted loaders only, threads as configured. */
import sharp from 'sharp';
import type { Limits } from './limits.ts';

/**
 * Loaders that may run: the formats that are accepted, from memory only. Everything else the library can read
 * (PDF, ImageMagick, OpenSlide, PPM, JPEG XL, its own dump format, …) stays blocked, whatever the bytes claim.
 */
const TRUSTED_LOADERS = [
  'VipsForeignLoadJpegBuffer',
  'VipsForeignLoadPngBuffer',
  'VipsForeignLoadWebpBuffer',
  'VipsForeignLoadHeifBuffer',
  'VipsForeignLoadTiffBuffer',
  'VipsForeignLoadNsgifBuffer',
];
const SVG_LOADER = 'VipsForeignLoadSvgBuffer';

let svgAllowed = false;

sharp.cache(false);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: TRUSTED_LOADERS });

/** Applies the limits that hold for the whole process. */
export function configureLibrary(limits: Limits): void {
  if (limits.threads !== undefined && sharp.concurrency() !== limits.threads)
    sharp.concurrency(limits.threads);
  if (limits.svg === svgAllowed) return;
  if (limits.svg) sharp.unblock({ operation: [SVG_LOADER] });
  else sharp.block({ operation: [SVG_LOADER] });
  svgAllowed = limits.svg;
}

export { sharp };
