/** Signed gradients, and their strength. Strides are bytes; `src` has a halo of one pixel. */

/**
 * 3×3 Sobel gradients of one row of interleaved 8-bit samples, as i16; `centre` is its first sample. Also their
 * magnitudes, if T is one of {@link storeSizes}.
 */
export function sobelRow<T>(
  centre: usize, stride: usize, samples: usize, channels: usize, gx: usize, gy: usize, size: usize = 0,
): void {
  const top = centre - stride;
  const bottom = centre + stride;
  for (let x: usize = 0; x < samples; x += 8) {
    const nw = v128.load_ext<u8>(top + x - channels);
    const n = v128.load_ext<u8>(top + x);
    const ne = v128.load_ext<u8>(top + x + channels);
    const w = v128.load_ext<u8>(centre + x - channels);
    const e = v128.load_ext<u8>(centre + x + channels);
    const sw = v128.load_ext<u8>(bottom + x - channels);
    const s = v128.load_ext<u8>(bottom + x);
    const se = v128.load_ext<u8>(bottom + x + channels);
    const falling = i16x8.sub(se, nw);
    const rising = i16x8.sub(ne, sw);
    const across = i16x8.shl(i16x8.sub(e, w), 1);
    const down = i16x8.shl(i16x8.sub(s, n), 1);
    const dx = i16x8.add(across, i16x8.add(falling, rising));
    const dy = i16x8.add(down, i16x8.sub(falling, rising));
    v128.store(gx + (x << 1), dx);
    v128.store(gy + (x << 1), dy);
    storeSizes<T>(dx, dy, size + x * sizeof<T>());
  }
}

/** Eight magnitudes: |gx| + |gy| as i16, gx² + gy² as i32, or none. */
@inline
export function storeSizes<T>(dx: v128, dy: v128, to: usize): void {
  if (sizeof<T>() == 2) v128.store(to, i16x8.add(i16x8.abs(dx), i16x8.abs(dy)));
  if (sizeof<T>() == 4) {
    const first = low(dx, dy);
    const second = high(dx, dy);
    v128.store(to, i32x4.dot_i16x8_s(first, first));
    v128.store(to, i32x4.dot_i16x8_s(second, second), 16);
  }
}

@inline
function low(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline
function high(a: v128, b: v128): v128 {
  return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** Four roots of sums of squares, rounded. Exact: an integer's root is never halfway, and these have 22 bits. */
@inline
function length(pairs: v128): v128 {
  const squares = f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(pairs, pairs));
  return i32x4.trunc_sat_f32x4_s(f32x4.add(f32x4.sqrt(squares), f32x4.splat(0.5)));
}

/**
 * √(gx² + gy²) of one-channel 8-bit samples, rounded and clipped. `useX` and `useY` are 0 to leave a gradient out,
 * else −1. `scratch` holds two rows of i16.
 */
export function sobel(
  src: usize, stride: usize, samples: usize, rows: i32, useX: i32, useY: i32,
  scratch: usize, dst: usize, dstStride: usize,
): void {
  const gx = scratch;
  const gy = scratch + 2 * stride;
  const maskX = i32x4.splat(useX);
  const maskY = i32x4.splat(useY);
  for (let y = 0; y < rows; y++) {
    sobelRow<u8>(src + <usize>(y + 1) * stride + 1, stride, samples, 1, gx, gy);
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 8) {
      const across = v128.and(v128.load(gx + (x << 1)), maskX);
      const down = v128.and(v128.load(gy + (x << 1)), maskY);
      const words = i16x8.narrow_i32x4_s(length(low(across, down)), length(high(across, down)));
      v128.store64_lane(to + x, i8x16.narrow_i16x8_u(words, words), 0);
    }
  }
}

/** |n + s + w + e − 4 c| of one-channel 8-bit samples, clipped. */
export function laplacian(src: usize, stride: usize, samples: usize, rows: i32, dst: usize, dstStride: usize): void {
  for (let y = 0; y < rows; y++) {
    const centre = src + <usize>(y + 1) * stride + 1;
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 8) {
      const at = centre + x;
      const upright = i16x8.add(v128.load_ext<u8>(at - stride), v128.load_ext<u8>(at + stride));
      const level = i16x8.add(v128.load_ext<u8>(at - 1), v128.load_ext<u8>(at + 1));
      const sum = i16x8.abs(i16x8.sub(i16x8.add(upright, level), i16x8.shl(v128.load_ext<u8>(at), 2)));
      v128.store64_lane(to + x, i8x16.narrow_i16x8_u(sum, sum), 0);
    }
  }
}
