/** Signed gradients and what is made of them. Strides are bytes; `src` has a halo of one pixel, or of two for canny. */

/** 3×3 Sobel gradients of one row of interleaved 8-bit samples, as i16; `centre` is its first sample. */
function sobelRow(centre: usize, stride: usize, samples: usize, channels: usize, gx: usize, gy: usize): void {
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
    v128.store(gx + (x << 1), i16x8.add(across, i16x8.add(falling, rising)));
    v128.store(gy + (x << 1), i16x8.add(down, i16x8.sub(falling, rising)));
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
    sobelRow(src + <usize>(y + 1) * stride + 1, stride, samples, 1, gx, gy);
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

/** Of each pixel's channels, keeps the gradients of the one with the largest magnitude (the first of equals). */
function strongest(gx: usize, gy: usize, pixels: i32, channels: i32, squared: i32, outX: usize, outY: usize): void {
  let at: usize = 0;
  for (let i = 0; i < pixels; i++) {
    let best = -1;
    let x = 0;
    let y = 0;
    for (let c = 0; c < channels; c++, at += 2) {
      const dx = <i32>load<i16>(gx + at);
      const dy = <i32>load<i16>(gy + at);
      const size = squared ? dx * dx + dy * dy : abs(dx) + abs(dy);
      if (size > best) {
        best = size;
        x = dx;
        y = dy;
      }
    }
    store<i16>(outX + (<usize>i << 1), <i16>x);
    store<i16>(outY + (<usize>i << 1), <i16>y);
  }
}

/** |gx| + |gy| as i16, or gx² + gy² as i32. */
function magnitudeRow<T>(gx: usize, gy: usize, pixels: i32, out: usize): void {
  for (let x = 0; x < pixels; x += 8) {
    const across = i16x8.abs(v128.load(gx + (<usize>x << 1)));
    const down = i16x8.abs(v128.load(gy + (<usize>x << 1)));
    if (sizeof<T>() == 2) {
      v128.store(out + (<usize>x << 1), i16x8.add(across, down));
    } else {
      const first = low(across, down);
      const second = high(across, down);
      v128.store(out + (<usize>x << 2), i32x4.dot_i16x8_s(first, first));
      v128.store(out + (<usize>x << 2), i32x4.dot_i16x8_s(second, second), 16);
    }
  }
}

/** Four magnitudes as i32. */
@inline
function sizes<T>(at: usize): v128 {
  return sizeof<T>() == 2 ? v128.load_ext<i16>(at) : v128.load(at);
}

/** tan 22.5° in 1/32768; tan 67.5° is this plus 2. */
const TAN_22 = 13573;

/**
 * Non-maximum suppression of four pixels: 0 off an edge, 1 above `low`, 2 above `high`. `up`, `at` and `down` are
 * the magnitudes of three rows, gx and gy the middle one's gradients.
 */
@inline
function peaks<T>(up: usize, at: usize, down: usize, gx: usize, gy: usize, lowest: v128, strong: v128): v128 {
  const one = sizeof<T>();
  const size = sizes<T>(at);
  const dx = v128.load_ext<i16>(gx);
  const dy = v128.load_ext<i16>(gy);
  const across = i32x4.abs(dx);
  const rise = i32x4.shl(i32x4.abs(dy), 15);
  const flat = i32x4.mul(across, i32x4.splat(TAN_22));
  const isFlat = i32x4.lt_s(rise, flat);
  const isSteep = i32x4.gt_s(rise, i32x4.add(flat, i32x4.shl(across, 16)));
  const isRising = i32x4.shr_s(v128.xor(dx, dy), 31);
  const overLevel = v128.and(i32x4.gt_s(size, sizes<T>(at - one)), i32x4.ge_s(size, sizes<T>(at + one)));
  const overUpright = v128.and(i32x4.gt_s(size, sizes<T>(up)), i32x4.ge_s(size, sizes<T>(down)));
  const overFalling = v128.and(i32x4.gt_s(size, sizes<T>(up - one)), i32x4.gt_s(size, sizes<T>(down + one)));
  const overRising = v128.and(i32x4.gt_s(size, sizes<T>(up + one)), i32x4.gt_s(size, sizes<T>(down - one)));
  const overSlanted = v128.bitselect(overRising, overFalling, isRising);
  const isPeak = v128.bitselect(overLevel, v128.bitselect(overUpright, overSlanted, isSteep), isFlat);
  const level = i32x4.sub(i32x4.splat(1), i32x4.gt_s(size, strong));
  return v128.and(v128.and(isPeak, i32x4.gt_s(size, lowest)), level);
}

/** Sides of a tile that are sides of the image, beyond which there is no gradient. */
const LEFT = 1;
const RIGHT = 2;
const TOP = 4;
const BOTTOM = 8;

/**
 * Canny up to its hysteresis, as OpenCV's canny.cpp: 0, 1 (an edge if it touches one) or 2 (an edge) for each
 * pixel. `scratch` holds `3 × 8 + 4 × channels` bytes for each pixel of a row with its halo.
 */
export function canny(
  src: usize, stride: usize, pixels: i32, rows: i32, channels: i32, lowest: i32, strong: i32, squared: i32,
  sides: i32, scratch: usize, dst: usize, dstStride: usize,
): void {
  if (squared) mark<i32>(src, stride, pixels, rows, channels, lowest, strong, sides, scratch, dst, dstStride);
  else mark<i16>(src, stride, pixels, rows, channels, lowest, strong, sides, scratch, dst, dstStride);
}

/** {@link canny} with magnitudes of type T. */
function mark<T>(
  src: usize, stride: usize, pixels: i32, rows: i32, channels: i32, lowest: i32, strong: i32,
  sides: i32, scratch: usize, dst: usize, dstStride: usize,
): void {
  // A slot keeps one row: gx, gy (i16) and magnitude (T) of the pixels −1 … pixels.
  const line: usize = (<usize>pixels + 2 + 31) & ~15;
  const slot: usize = line << 3;
  const raw = scratch + 3 * slot;
  for (let y = -1; y <= rows; y++) {
    const gx = scratch + <usize>((y + 3) % 3) * slot;
    const gy = gx + (line << 1);
    const size = gx + (line << 2);
    const first = src + <usize>(y + 2) * stride + <usize>channels;
    if (channels == 1) {
      sobelRow(first, stride, pixels + 2, 1, gx, gy);
    } else {
      const rawLine: usize = (line * channels) << 1;
      sobelRow(first, stride, (pixels + 2) * channels, channels, raw, raw + rawLine);
      strongest(raw, raw + rawLine, pixels + 2, channels, sizeof<T>() == 4, gx, gy);
    }
    magnitudeRow<T>(gx, gy, pixels + 2, size);
    if (sides & LEFT) store<T>(size, 0);
    if (sides & RIGHT) store<T>(size + <usize>(pixels + 1) * sizeof<T>(), 0);
    if ((y < 0 && sides & TOP) || (y == rows && sides & BOTTOM)) memory.fill(size, 0, line * sizeof<T>());
    if (y > 0) suppress<T>(scratch, slot, line, y - 1, pixels, lowest, strong, dst + <usize>(y - 1) * dstStride);
  }
}

/** Whether any of 16 magnitudes is above `lowest`. */
@inline
function anyAbove<T>(at: usize, lowest: i32): bool {
  if (sizeof<T>() == 2) {
    const level = i16x8.splat(<i16>lowest);
    return v128.any_true(v128.or(i16x8.gt_s(v128.load(at), level), i16x8.gt_s(v128.load(at, 16), level)));
  }
  const level = i32x4.splat(lowest);
  return v128.any_true(v128.or(
    v128.or(i32x4.gt_s(v128.load(at), level), i32x4.gt_s(v128.load(at, 16), level)),
    v128.or(i32x4.gt_s(v128.load(at, 32), level), i32x4.gt_s(v128.load(at, 48), level)),
  ));
}

/** One row of {@link canny}, 16 pixels at a time; most of a photo's have no candidate. */
function suppress<T>(
  scratch: usize, slot: usize, line: usize, y: i32, pixels: i32, lowest: i32, strong: i32, dst: usize,
): void {
  const one = sizeof<T>();
  const middle = scratch + (line << 2) + one;
  const up = middle + <usize>((y + 2) % 3) * slot;
  const at = middle + <usize>((y + 3) % 3) * slot;
  const down = middle + <usize>((y + 4) % 3) * slot;
  const gx = scratch + <usize>((y + 3) % 3) * slot + 2;
  const gy = gx + (line << 1);
  const lows = i32x4.splat(lowest);
  const highs = i32x4.splat(strong);
  for (let x: usize = 0; x < <usize>pixels; x += 16) {
    if (!anyAbove<T>(at + x * one, lowest)) {
      v128.store(dst + x, i32x4.splat(0));
      continue;
    }
    const i = x * one;
    const j = x << 1;
    const a = peaks<T>(up + i, at + i, down + i, gx + j, gy + j, lows, highs);
    const k = i + 4 * one;
    const b = peaks<T>(up + k, at + k, down + k, gx + j + 8, gy + j + 8, lows, highs);
    const l = i + 8 * one;
    const c = peaks<T>(up + l, at + l, down + l, gx + j + 16, gy + j + 16, lows, highs);
    const m = i + 12 * one;
    const d = peaks<T>(up + m, at + m, down + m, gx + j + 24, gy + j + 24, lows, highs);
    const words = i16x8.narrow_i32x4_s(a, b);
    v128.store(dst + x, i8x16.narrow_i16x8_s(words, i16x8.narrow_i32x4_s(c, d)));
  }
}
