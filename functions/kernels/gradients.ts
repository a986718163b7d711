/** Sobel and Laplacian edges from signed gradients, equal to OpenCV's with a replicated border. */
import type { Pixels } from '../../runtime/filter.ts';
import { allocateLike } from '../../runtime/image/sample-memory.ts';
import { edgeSource, loadLuma, stageBytes } from './luma-tiles.ts';
import { align, kernels } from './module.ts';
import { storeRegion, tiles, WIDE_TILE, withHalo } from './tiles.ts';

export type SobelDirection = 'both' | 'x' | 'y';

const { width: TILE_WIDTH, height: TILE_HEIGHT } = WIDE_TILE;
const STRIDE = align(TILE_WIDTH + 2, 64);

/**
 * 3×3 Sobel edges of the grey image: `√(gx² + gy²)` for both, `|gx|` (upright edges) for x, `|gy|` for y,
 * rounded and clipped at the depth's maximum. One channel, of the input's depth. Hidden colours make no edges:
 * luma is multiplied by alpha first.
 */
export function sobel(pixels: Pixels, direction: SobelDirection = 'both'): Pixels {
  const useX = direction === 'y' ? 0 : -1;
  const useY = direction === 'x' ? 0 : -1;
  const { run } = kernels();
  return edges(
    pixels,
    (source, target, width, height, scratch) =>
      run.sobel(source, STRIDE, width, height, useX, useY, scratch, target, STRIDE),
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

/** A pixel's neighbours, row by row, to its edge. */
type Neighbours = [number, number, number, number, number, number, number, number, number];

function edges(
  pixels: Pixels,
  tileEdges: (source: number, target: number, width: number, height: number, scratch: number) => void,
  pixelEdge: (...neighbours: Neighbours) => number,
): Pixels {
  const from = edgeSource(pixels);
  const { width, height } = from;
  const out: Pixels = { data: allocateLike(from.data, width * height), width, height, channels: 1 };
  if (from.data instanceof Uint16Array) {
    eachNeighbourhood(from, (i, neighbours) => {
      out.data[i] = Math.min(65535, pixelEdge(...neighbours));
    });
    return out;
  }
  const [source, target, scratch, stage] = kernels().place(
    STRIDE * (TILE_HEIGHT + 2),
    STRIDE * TILE_HEIGHT,
    4 * STRIDE,
    stageBytes(TILE_WIDTH + 2, TILE_HEIGHT + 2),
  );
  for (const tile of tiles(from, TILE_WIDTH, TILE_HEIGHT)) {
    loadLuma(from, withHalo(tile, 1), { luma: source, stride: STRIDE, stage });
    tileEdges(source, target, tile.width, tile.height, scratch);
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
