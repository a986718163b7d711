/** Sobel and Laplacian edges from signed gradients, equal to OpenCV's with a replicated border. */
import type { Pixels } from '../../filter.ts';
import { edgePlane } from './grayscale.ts';
import { align, kernels } from './module.ts';
import { emptyLike } from './samples.ts';
import { loadRegion, storeRegion, tiles, withHalo } from './tiles.ts';

export type SobelDirection = 'both' | 'x' | 'y';

const TILE_WIDTH = 4096;
const TILE_HEIGHT = 64;
const STRIDE = align(TILE_WIDTH + 2, 64);

/**
 * 3×3 Sobel edges of the grey image: `√(gx² + gy²)` for both, `|gx|` (upright edges) for x, `|gy|` for y,
 * rounded and clipped at the depth's maximum. One channel, of the input's depth. Hidden colours make no edges:
 * luma is multiplied by alpha first.
 */
export function sobel(pixels: Pixels, direction: SobelDirection = 'both'): Pixels {
  const useX = direction === 'y' ? 0 : -1;
  const useY = direction === 'x' ? 0 : -1;
  const { place, run } = kernels();
  return edges(
    pixels,
    (source, target, width, height) => {
      const scratch = 4 * STRIDE;
      const [, , rows] = place(SOURCE_BYTES, TARGET_BYTES, scratch);
      run.sobel(source, STRIDE, width, height, useX, useY, rows, target, STRIDE);
    },
    (nw, n, ne, w, _, e, sw, s, se) => {
      const gx = useX && ne + 2 * e + se - nw - 2 * w - sw;
      const gy = useY && sw + 2 * s + se - nw - 2 * n - ne;
      return Math.round(Math.sqrt(gx * gx + gy * gy));
    },
  );
}

/** Edges by the Laplacian `|n + s + w + e − 4 c|` of the grey image, clipped; otherwise as {@link sobel}. */
export function laplacian(pixels: Pixels): Pixels {
  const { run } = kernels();
  return edges(
    pixels,
    (source, target, width, height) => run.laplacian(source, STRIDE, width, height, target, STRIDE),
    (_nw, n, _ne, w, centre, e, _sw, s) => Math.abs(n + s + w + e - 4 * centre),
  );
}

const SOURCE_BYTES = STRIDE * (TILE_HEIGHT + 2);
const TARGET_BYTES = STRIDE * TILE_HEIGHT;

/** A pixel's neighbours, row by row, to its edge. */
type Neighbours = [number, number, number, number, number, number, number, number, number];

function edges(
  pixels: Pixels,
  tileEdges: (source: number, target: number, width: number, height: number) => void,
  pixelEdge: (...neighbours: Neighbours) => number,
): Pixels {
  const plane = edgePlane(pixels);
  const out = { ...plane, data: emptyLike(plane.data) };
  if (plane.data instanceof Uint16Array) {
    eachNeighbourhood(plane, (i, neighbours) => {
      out.data[i] = Math.min(65535, pixelEdge(...neighbours));
    });
    return out;
  }
  const [source, target] = kernels().place(SOURCE_BYTES, TARGET_BYTES);
  for (const tile of tiles(plane, TILE_WIDTH, TILE_HEIGHT)) {
    loadRegion(plane, withHalo(tile, 1), source, STRIDE);
    tileEdges(source, target, tile.width, tile.height);
    storeRegion(out, tile, target, STRIDE);
  }
  return out;
}

/** Visits every pixel with its neighbours; edges are replicated. */
function eachNeighbourhood(
  { data, width, height }: Pixels,
  visit: (index: number, neighbours: Neighbours) => void,
): void {
  for (let y = 0; y < height; y++) {
    const at = y * width;
    const up = y > 0 ? at - width : at;
    const down = y < height - 1 ? at + width : at;
    for (let x = 0; x < width; x++) {
      const w = Math.max(0, x - 1);
      const e = Math.min(width - 1, x + 1);
      visit(at + x, [
        data[up + w]!,
        data[up + x]!,
        data[up + e]!,
        data[at + w]!,
        data[at + x]!,
        data[at + e]!,
        data[down + w]!,
        data[down + x]!,
        data[down + e]!,
      ]);
    }
  }
}
