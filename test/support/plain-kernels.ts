/** The same filters as functions/kernels, written plainly: slow, without tiles, easy to check by eye. */
import type { Pixels } from '../../runtime/filter.ts';

/** The Gaussian in double precision, edges replicated, colour weighted by alpha; unrounded. */
export function plainGaussian({ data, width, height, channels }: Pixels, sigma: number): Float64Array {
  const max = data instanceof Uint8Array ? 255 : 65535;
  const colours = channels % 2 === 0 ? channels - 1 : channels;
  const alphaOf = (values: ArrayLike<number>, i: number) => values[i - (i % channels) + colours]! / max;
  const isWeighted = (i: number) => colours < channels && i % channels < colours;
  const weighted = Float64Array.from(data, (sample, i) =>
    isWeighted(i) ? sample * alphaOf(data, i) : sample,
  );
  const across = plainLines(
    weighted,
    sigma,
    channels,
    { count: width, step: channels },
    { count: height, step: width * channels },
  );
  const both = plainLines(
    across,
    sigma,
    channels,
    { count: height, step: width * channels },
    { count: width, step: channels },
  );
  return both.map((sample, i) => (isWeighted(i) ? sample / Math.max(1e-9, alphaOf(both, i)) : sample));
}

interface Axis {
  count: number;
  step: number;
}

function plainLines(
  from: Float64Array,
  sigma: number,
  channels: number,
  along: Axis,
  lines: Axis,
): Float64Array {
  const reach = Math.ceil(8 * sigma);
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, k) =>
    Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)),
  );
  // sums[k] is the weight of everything before place k: beyond an edge there is only the edge's pixel.
  const sums = new Float64Array(weights.length + 1);
  for (let k = 0; k < weights.length; k++) sums[k + 1] = sums[k]! + weights[k]!;
  const total = sums[weights.length]!;
  const to = new Float64Array(from.length);
  for (let line = 0; line < lines.count; line++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = line * lines.step + channel;
      for (let i = 0; i < along.count; i++) {
        const first = Math.max(0, i - reach);
        const last = Math.min(along.count - 1, i + reach);
        let sum = sums[first - i + reach]! * from[start]!;
        for (let j = first; j <= last; j++) sum += weights[j - i + reach]! * from[start + j * along.step]!;
        sum += (total - sums[last - i + reach + 1]!) * from[start + (along.count - 1) * along.step]!;
        to[start + i * along.step] = sum / total;
      }
    }
  }
  return to;
}

/** The 3×3 Sobel gradients of one channel, edges replicated. */
export function plainGradients(
  { data, width, height, channels }: Pixels,
  channel = 0,
): { gx: Int32Array; gy: Int32Array } {
  const at = (x: number, y: number) =>
    data[
      (Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) * channels +
        channel
    ]!;
  const gx = new Int32Array(width * height);
  const gy = new Int32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const [nw, n, ne] = [at(x - 1, y - 1), at(x, y - 1), at(x + 1, y - 1)];
      const [sw, s, se] = [at(x - 1, y + 1), at(x, y + 1), at(x + 1, y + 1)];
      gx[i] = ne + 2 * at(x + 1, y) + se - nw - 2 * at(x - 1, y) - sw;
      gy[i] = sw + 2 * s + se - nw - 2 * n - ne;
    }
  }
  return { gx, gy };
}

/** Canny as OpenCV's canny.cpp describes it; in colour each pixel's strongest channel counts. */
export function plainCanny(pixels: Pixels, low: number, high: number, l2: boolean): Uint8Array {
  const { width, height } = pixels;
  const { gx, gy, size } = strongest(pixels, l2);
  const threshold = (value: number) => (l2 ? value * value : value);
  const out = new Uint8Array(width * height);
  const open: number[] = [];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (size[i]! <= threshold(low) || !isPeak(size, gx[i]!, gy[i]!, x, y, width, height)) continue;
      out[i] = 1;
      if (size[i]! > threshold(high)) open.push(i);
    }
  }
  while (open.length > 0) {
    const i = open.pop()!;
    const [x, y] = [i % width, Math.floor(i / width)];
    out[i] = 255;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const isInside = x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height;
        if (isInside && out[i + dy * width + dx] === 1) open.push(i + dy * width + dx);
      }
    }
  }
  return out.map((mark) => (mark === 255 ? 255 : 0));
}

function strongest(pixels: Pixels, l2: boolean): { gx: Int32Array; gy: Int32Array; size: Int32Array } {
  const best = plainGradients(pixels, 0);
  const measure = (x: number, y: number) => (l2 ? x * x + y * y : Math.abs(x) + Math.abs(y));
  const size = best.gx.map((x, i) => measure(x, best.gy[i]!));
  for (let channel = 1; channel < pixels.channels; channel++) {
    const { gx, gy } = plainGradients(pixels, channel);
    for (let i = 0; i < size.length; i++) {
      if (measure(gx[i]!, gy[i]!) <= size[i]!) continue;
      size[i] = measure(gx[i]!, gy[i]!);
      best.gx[i] = gx[i]!;
      best.gy[i] = gy[i]!;
    }
  }
  return { ...best, size };
}

function isPeak(
  size: Int32Array,
  gx: number,
  gy: number,
  x: number,
  y: number,
  width: number,
  height: number,
): boolean {
  const at = (dx: number, dy: number) => {
    const isInside = x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height;
    return isInside ? size[(y + dy) * width + x + dx]! : 0;
  };
  const across = Math.abs(gx) * 13573;
  const down = Math.abs(gy) * 32768;
  if (down < across) return at(0, 0) > at(-1, 0) && at(0, 0) >= at(1, 0);
  if (down > across + Math.abs(gx) * 65536) return at(0, 0) > at(0, -1) && at(0, 0) >= at(0, 1);
  const slant = (gx ^ gy) < 0 ? -1 : 1;
  return at(0, 0) > at(-slant, -1) && at(0, 0) > at(slant, 1);
}
