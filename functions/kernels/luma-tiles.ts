/** Brings the luma of an image's regions into the kernels' memory, for kernels that look at grey. */
import type { Pixels } from '../../runtime/filter.ts';
import { edgePlane, OPENCV_LUMA } from './grayscale.ts';
import { align, kernels } from './module.ts';
import { loadRegion, type Region } from './tiles.ts';

/** The address of a region's luma, and room for its colours. */
export interface LumaTile {
  luma: number;
  /** Bytes from one row of luma to the next. */
  stride: number;
  /** As large as {@link stageBytes} says. */
  stage: number;
}

/** What edges are looked for in: opaque 8-bit colour as it is, for {@link loadLuma}; all else as a grey plane. */
export function edgeSource(pixels: Pixels): Pixels {
  return pixels.channels === 3 && pixels.data instanceof Uint8Array ? pixels : edgePlane(pixels);
}

export function stageBytes(width: number, height: number): number {
  return stageStride(width) * height;
}

/** Copies a region of one channel, or of red, green and blue as their luma. */
export function loadLuma(image: Pixels, region: Region, { luma, stride, stage }: LumaTile): void {
  if (image.channels === 1) {
    loadRegion(image, region, luma, stride);
    return;
  }
  const colours = stageStride(region.width);
  loadRegion(image, region, stage, colours);
  kernels().run.lumaRows(stage, colours, region.width, region.height, luma, stride, ...OPENCV_LUMA);
}

function stageStride(width: number): number {
  return align(3 * width, 64);
}
