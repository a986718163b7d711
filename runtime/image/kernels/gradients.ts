/** Sobel and Laplacian edges from signed gradients, equal to OpenCV's with a replicated border. */
import type { Pixels } from '../../filter.ts';
import { edgePlane, emptyLike } from './edge-plane.ts';

export type SobelDirection = 'both' | 'x' | 'y';

/**
 * 3×3 Sobel edges of the grey image: `√(gx² + gy²)` for both, `|gx|` (upright edges) for x, `|gy|` for y,
 * rounded and clipped at the depth's maximum. One channel, of the input's depth. Hidden colours make no edges:
 * luma is multiplied by alpha first.
 */
export function sobel(pixels: Pixels, direction: SobelDirection = 'both'): Pixels {
  return neighbourhood(pixels, (p, n, w, e, s, x, y) => {
    void [n, s, w, e];
    const gx =
      direction === 'y'
        ? 0
        : p(x + 1, y - 1) +
          2 * p(x + 1, y) +
          p(x + 1, y + 1) -
          p(x - 1, y - 1) -
          2 * p(x - 1, y) -
          p(x - 1, y + 1);
    const gy =
      direction === 'x'
        ? 0
        : p(x - 1, y + 1) +
          2 * p(x, y + 1) +
          p(x + 1, y + 1) -
          p(x - 1, y - 1) -
          2 * p(x, y - 1) -
          p(x + 1, y - 1);
    return Math.round(Math.sqrt(gx * gx + gy * gy));
  });
}

/** Edges by the Laplacian `|n + s + w + e − 4 c|` of the grey image, clipped; otherwise as {@link sobel}. */
export function laplacian(pixels: Pixels): Pixels {
  return neighbourhood(pixels, (p, n, w, e, s, x, y) => Math.abs(n + s + w + e - 4 * p(x, y)));
}

type At = (x: number, y: number) => number;

function neighbourhood(
  pixels: Pixels,
  edge: (at: At, n: number, w: number, e: number, s: number, x: number, y: number) => number,
): Pixels {
  const { data, width, height } = edgePlane(pixels);
  const max = data instanceof Uint8Array ? 255 : 65535;
  const at: At = (x, y) =>
    data[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))]!;
  const out = emptyLike(data, data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      out[y * width + x] = Math.min(
        max,
        edge(at, at(x, y - 1), at(x - 1, y), at(x + 1, y), at(x, y + 1), x, y),
      );
    }
  }
  return { data: out, width, height, channels: 1 };
}
