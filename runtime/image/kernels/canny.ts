/** Canny edges, pixel for pixel those of OpenCV's `cv2.Canny` with aperture 3. */
import type { Pixels } from '../../filter.ts';
import { edgePlane } from './edge-plane.ts';

export interface CannyOptions {
  /** Gradients above `low` belong to an edge if they touch one above `high`. Swapped if in the wrong order. */
  low: number;
  high: number;
  /** Measures gradients as √(gx² + gy²); the default is |gx| + |gy|, as in OpenCV. */
  l2?: boolean;
}

/** tan 22.5° in 1/32768. */
const TAN_22 = 13573;

/**
 * Edges of the grey image (Rec. 601 luma times alpha; 16-bit images at 8 bits): one 8-bit channel, 255 on an
 * edge, else 0. Thresholds are in 8-bit levels of the 3×3 Sobel gradient (0–1020 an axis).
 */
export function canny(pixels: Pixels, options: CannyOptions): Pixels {
  const { data, width, height } = edgePlane(pixels);
  const grey =
    data instanceof Uint8Array ? data : Uint8Array.from(data, (sample) => Math.round(sample / 257));
  const square = (threshold: number) =>
    options.l2 ? Math.min(32767, threshold) * Math.max(0, Math.min(32767, threshold)) : threshold;
  const low = Math.floor(square(Math.min(options.low, options.high)));
  const high = Math.floor(square(Math.max(options.low, options.high)));
  const at = (x: number, y: number) =>
    grey[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))]!;
  const gx = new Int32Array(width * height);
  const gy = new Int32Array(width * height);
  const size = new Int32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const h =
        at(x + 1, y - 1) +
        2 * at(x + 1, y) +
        at(x + 1, y + 1) -
        at(x - 1, y - 1) -
        2 * at(x - 1, y) -
        at(x - 1, y + 1);
      const v =
        at(x - 1, y + 1) +
        2 * at(x, y + 1) +
        at(x + 1, y + 1) -
        at(x - 1, y - 1) -
        2 * at(x, y - 1) -
        at(x + 1, y - 1);
      gx[i] = h;
      gy[i] = v;
      size[i] = options.l2 ? h * h + v * v : Math.abs(h) + Math.abs(v);
    }
  }
  const magnitude = (x: number, y: number) =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : size[y * width + x]!;
  const out = new Uint8Array(width * height);
  const stack: number[] = [];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const m = size[i]!;
      if (m <= low) continue;
      const across = Math.abs(gx[i]!);
      const down = Math.abs(gy[i]!) * 32768;
      const flat = across * TAN_22;
      const slant = (gx[i]! ^ gy[i]!) < 0 ? -1 : 1;
      const isPeak =
        down < flat
          ? m > magnitude(x - 1, y) && m >= magnitude(x + 1, y)
          : down > flat + across * 65536
            ? m > magnitude(x, y - 1) && m >= magnitude(x, y + 1)
            : m > magnitude(x - slant, y - 1) && m > magnitude(x + slant, y + 1);
      if (!isPeak) continue;
      if (m > high) stack.push(i);
      out[i] = m > high ? 255 : 1;
    }
  }
  while (stack.length > 0) {
    const i = stack.pop()!;
    const x = i % width;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const j = i + dy * width + dx;
        if (x + dx < 0 || x + dx >= width || out[j] !== 1) continue;
        out[j] = 255;
        stack.push(j);
      }
    }
  }
  for (let i = 0; i < out.length; i++) if (out[i] === 1) out[i] = 0;
  return { data: out, width, height, channels: 1 };
}
