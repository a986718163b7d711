/** Canny edges, pixel for pixel those of OpenCV's `cv2.Canny` with aperture 3. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { followEdges } from './hysteresis.ts';
import { edgeSource, loadLuma, stageBytes } from './luma-tiles.ts';
import { align, kernels } from './module.ts';
import { loadRegion, type Region, tiles, WIDE_TILE, withHalo } from './tiles.ts';

export interface CannyOptions {
  /** Gradients above `low` belong to an edge if they touch one above `high`. Swapped if in the wrong order. */
  low: number;
  high: number;
  /** Measures gradients as √(gx² + gy²); the default is |gx| + |gy|, as in OpenCV. */
  l2?: boolean;
  /** Takes each pixel's strongest channel, as OpenCV does for colour, in place of luma; ignores alpha. */
  color?: boolean;
}

const { width: TILE_WIDTH, height: TILE_HEIGHT } = WIDE_TILE;

/**
 * Edges of the grey image (Rec. 601 luma times alpha; 16-bit images at 8 bits): one 8-bit channel, 255 on an
 * edge, else 0. Thresholds are in 8-bit levels of the 3×3 Sobel gradient (0–1020 an axis).
 */
export function canny(pixels: Pixels, options: CannyOptions): Pixels {
  const byColour = options.color === true && pixels.channels >= 3;
  const source = toBytes(byColour ? opaque(pixels) : edgeSource(pixels));
  const { width, height } = source;
  const edges = allocateLike(source.data, width * height) as Uint8Array;
  followEdges(edges, width, candidates(source, byColour ? source.channels : 1, options));
  return { data: edges, width, height, channels: 1 };
}

function toBytes(pixels: Pixels): Pixels {
  const { data } = pixels;
  if (data instanceof Uint8Array) return pixels;
  // `Uint8Array.from` would hold every sample as a number of its own first: 24 bytes a pixel.
  const bytes = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) bytes[i] = Math.round(data[i]! / 257);
  return { ...pixels, data: bytes };
}

/** The colours without their alpha. */
function opaque(pixels: Pixels): Pixels {
  const { data, channels } = pixels;
  if (channels === 3) return pixels;
  return { ...pixels, data: data.filter((_, i) => i % 4 !== 3), channels: 3 };
}

/** OpenCV's thresholds: whole numbers, squared where the magnitudes are. */
function thresholds({ low, high, l2 = false }: CannyOptions): [number, number] {
  const scaled = [Math.min(low, high), Math.max(low, high)].map((threshold) => {
    const capped = Math.min(32767, threshold);
    return Math.floor(l2 && capped > 0 ? capped * capped : capped);
  });
  return scaled as [number, number];
}

/**
 * What each tile's kernel lists, in {@link followEdges}'s terms. A list holds until the next one is asked for.
 * @param channels 1 to look at luma, else as many as `from` has
 */
function* candidates(from: Pixels, channels: number, options: CannyOptions): Iterable<Uint32Array> {
  const { heap, place, run } = kernels();
  const [low, high] = thresholds(options);
  const stride = align((TILE_WIDTH + 4) * channels, 64);
  const [source, list, scratch, stage] = place(
    stride * (TILE_HEIGHT + 4),
    TILE_WIDTH * TILE_HEIGHT * Uint32Array.BYTES_PER_ELEMENT,
    (TILE_WIDTH + 64) * (24 + 4 * channels),
    stageBytes(TILE_WIDTH + 4, TILE_HEIGHT + 4),
  );
  for (const tile of tiles(from, TILE_WIDTH, TILE_HEIGHT)) {
    const region = withHalo(tile, 2);
    if (channels === 1) loadLuma(from, region, { luma: source, stride, stage });
    else loadRegion(from, region, source, stride);
    const count = run.canny(
      source,
      stride,
      tile.width,
      tile.height,
      channels,
      low,
      high,
      options.l2 ? 1 : 0,
      sidesOf(tile, from),
      scratch,
      list,
      tile.y * from.width + tile.x,
      from.width,
    );
    yield new Uint32Array(heap.buffer, list, count);
  }
}

/** The sides of the image that a tile touches, as the kernel takes them: left 1, right 2, top 4, bottom 8. */
function sidesOf({ x, y, width, height }: Region, image: Pixels): number {
  return (
    (x === 0 ? 1 : 0) +
    (x + width === image.width ? 2 : 0) +
    (y === 0 ? 4 : 0) +
    (y + height === image.height ? 8 : 0)
  );
}
