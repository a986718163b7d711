/** Canny's candidates for edges. Strides are bytes; `src` has a halo of two pixels. */
import { sobelRow, storeSizes } from './edges.as';

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
function sizeRow<T>(gx: usize, gy: usize, pixels: usize, size: usize): void {
  for (let x: usize = 0; x < pixels; x += 8) {
    storeSizes<T>(v128.load(gx + (x << 1)), v128.load(gy + (x << 1)), size + x * sizeof<T>());
  }
}

/** tan 22.5° in 1/32768; tan 67.5° is this plus 2. */
const TAN_22 = 13573;

/**
 * Non-maximum suppression of four pixels: 0 off an edge, −1 above `low`, −2 above `high`. `up`, `at` and `down` are
 * the magnitudes of three rows, gx and gy the middle one's gradients.
 */
@inline
function longPeaks(up: usize, at: usize, down: usize, gx: usize, gy: usize, lowest: v128, strong: v128): v128 {
  const size = v128.load(at);
  const dx = v128.load_ext<i16>(gx);
  const dy = v128.load_ext<i16>(gy);
  const across = i32x4.abs(dx);
  const rise = i32x4.shl(i32x4.abs(dy), 15);
  const flat = i32x4.mul(across, i32x4.splat(TAN_22));
  const isFlat = i32x4.lt_s(rise, flat);
  const isSteep = i32x4.gt_s(rise, i32x4.add(flat, i32x4.shl(across, 16)));
  const isRising = i32x4.shr_s(v128.xor(dx, dy), 31);
  const overLevel = v128.and(i32x4.gt_s(size, v128.load(at - 4)), i32x4.ge_s(size, v128.load(at + 4)));
  const overUpright = v128.and(i32x4.gt_s(size, v128.load(up)), i32x4.ge_s(size, v128.load(down)));
  const overFalling = v128.and(i32x4.gt_s(size, v128.load(up - 4)), i32x4.gt_s(size, v128.load(down + 4)));
  const overRising = v128.and(i32x4.gt_s(size, v128.load(up + 4)), i32x4.gt_s(size, v128.load(down - 4)));
  const overSlanted = v128.bitselect(overRising, overFalling, isRising);
  const isPeak = v128.bitselect(overLevel, v128.bitselect(overUpright, overSlanted, isSteep), isFlat);
  return v128.and(isPeak, i32x4.add(i32x4.gt_s(size, lowest), i32x4.gt_s(size, strong)));
}

/** The same of eight pixels with magnitudes as i16. */
@inline
function shortPeaks(up: usize, at: usize, down: usize, gx: usize, gy: usize, lowest: v128, strong: v128): v128 {
  const size = v128.load(at);
  const dx = v128.load(gx);
  const dy = v128.load(gy);
  const across = i16x8.abs(dx);
  const tan = i16x8.splat(<i16>TAN_22);
  const rise = i16x8.abs(dy);
  // |dx| tan 22.5° rounded down: never whole but for 0, so comparing whole numbers with it is exact.
  const flat = i16x8.narrow_i32x4_s(
    i32x4.shr_u(i32x4.extmul_low_i16x8_s(across, tan), 15),
    i32x4.shr_u(i32x4.extmul_high_i16x8_s(across, tan), 15),
  );
  const isFlat = i16x8.le_s(rise, flat);
  const isSteep = i16x8.gt_s(i16x8.sub(rise, i16x8.shl(across, 1)), flat);
  const isRising = i16x8.shr_s(v128.xor(dx, dy), 15);
  const overLevel = v128.and(i16x8.gt_s(size, v128.load(at - 2)), i16x8.ge_s(size, v128.load(at + 2)));
  const overUpright = v128.and(i16x8.gt_s(size, v128.load(up)), i16x8.ge_s(size, v128.load(down)));
  const overFalling = v128.and(i16x8.gt_s(size, v128.load(up - 2)), i16x8.gt_s(size, v128.load(down + 2)));
  const overRising = v128.and(i16x8.gt_s(size, v128.load(up + 2)), i16x8.gt_s(size, v128.load(down - 2)));
  const overSlanted = v128.bitselect(overRising, overFalling, isRising);
  const isPeak = v128.bitselect(overLevel, v128.bitselect(overUpright, overSlanted, isSteep), isFlat);
  return v128.and(isPeak, i16x8.add(i16x8.gt_s(size, lowest), i16x8.gt_s(size, strong)));
}

/** Sides of a tile that are sides of the image, beyond which there is no gradient. */
const LEFT = 1;
const RIGHT = 2;
const TOP = 4;
const BOTTOM = 8;

/**
 * Canny up to its hysteresis, as OpenCV's canny.cpp: a u32 for each candidate, `index × 2 + 1` where it is an edge,
 * `index × 2` where it is one if it touches one. The tile's first pixel has the index `first`, the one below it
 * `first + width`. `scratch` holds `3 × 8 + 4 × channels` bytes for each pixel of a row with its halo.
 *
 * @returns how many there are in `list`, row by row
 */
export function canny(
  src: usize, stride: usize, pixels: i32, rows: i32, channels: i32, lowest: i32, strong: i32, squared: i32,
  sides: i32, scratch: usize, list: usize, first: u32, width: u32,
): usize {
  const end = squared
    ? mark<i32>(src, stride, pixels, rows, channels, lowest, strong, sides, scratch, list, first, width)
    : mark<i16>(src, stride, pixels, rows, channels, lowest, strong, sides, scratch, list, first, width);
  return (end - list) >> 2;
}

/** {@link canny} with magnitudes of type T. @returns the list's end */
function mark<T>(
  src: usize, stride: usize, pixels: i32, rows: i32, channels: i32, lowest: i32, strong: i32,
  sides: i32, scratch: usize, list: usize, first: u32, width: u32,
): usize {
  // A slot keeps one row: gx, gy (i16) and magnitude (T) of the pixels −1 … pixels.
  const line: usize = (<usize>pixels + 2 + 31) & ~15;
  const slot: usize = line << 3;
  const raw = scratch + 3 * slot;
  for (let y = -1; y <= rows; y++) {
    const gx = scratch + <usize>((y + 3) % 3) * slot;
    const gy = gx + (line << 1);
    const size = gx + (line << 2);
    const from = src + <usize>(y + 2) * stride + <usize>channels;
    if (channels == 1) {
      sobelRow<T>(from, stride, pixels + 2, 1, gx, gy, size);
    } else {
      const rawLine: usize = (line * channels) << 1;
      sobelRow<u8>(from, stride, (pixels + 2) * channels, channels, raw, raw + rawLine);
      strongest(raw, raw + rawLine, pixels + 2, channels, sizeof<T>() == 4, gx, gy);
      sizeRow<T>(gx, gy, pixels + 2, size);
    }
    if (sides & LEFT) store<T>(size, 0);
    if (sides & RIGHT) store<T>(size + <usize>(pixels + 1) * sizeof<T>(), 0);
    if ((y < 0 && sides & TOP) || (y == rows && sides & BOTTOM)) memory.fill(size, 0, line * sizeof<T>());
    if (y > 0) {
      const row = first + <u32>(y - 1) * width;
      list = suppress<T>(scratch, slot, line, y - 1, pixels, lowest, strong, list, row);
    }
  }
  return list;
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

/** Peaks of eight pixels, as i16. */
@inline
function peaks<T>(up: usize, at: usize, down: usize, gx: usize, gy: usize, lowest: i32, strong: i32): v128 {
  if (sizeof<T>() == 2)
    return shortPeaks(up, at, down, gx, gy, i16x8.splat(<i16>lowest), i16x8.splat(<i16>strong));
  const lows = i32x4.splat(lowest);
  const highs = i32x4.splat(strong);
  return i16x8.narrow_i32x4_s(
    longPeaks(up, at, down, gx, gy, lows, highs),
    longPeaks(up + 16, at + 16, down + 16, gx + 8, gy + 8, lows, highs),
  );
}

/** One row of {@link canny}, 16 pixels at a time; most of a photo's have no candidate. @returns the list's end */
function suppress<T>(
  scratch: usize, slot: usize, line: usize, y: i32, pixels: i32, lowest: i32, strong: i32, list: usize, first: u32,
): usize {
  const middle = scratch + (line << 2) + sizeof<T>();
  const up = middle + <usize>((y + 2) % 3) * slot;
  const at = middle + <usize>((y + 3) % 3) * slot;
  const down = middle + <usize>((y + 4) % 3) * slot;
  const gx = scratch + <usize>((y + 3) % 3) * slot + 2;
  const gy = gx + (line << 1);
  for (let x = 0; x < pixels; x += 16) {
    const i = <usize>x * sizeof<T>();
    if (!anyAbove<T>(at + i, lowest)) continue;
    const j = <usize>x << 1;
    const k = i + 8 * sizeof<T>();
    const left = peaks<T>(up + i, at + i, down + i, gx + j, gy + j, lowest, strong);
    const right = peaks<T>(up + k, at + k, down + k, gx + j + 16, gy + j + 16, lowest, strong);
    const marks = i8x16.narrow_i16x8_s(left, right);
    const inside = pixels - x < 16 ? (1 << (pixels - x)) - 1 : 0xffff;
    // −1 and −2 are negative; −2 alone is even.
    list = enter(list, first + x, i8x16.bitmask(marks) & inside, i8x16.bitmask(i8x16.shl(marks, 7)));
  }
  return list;
}

/** Lists those of 16 pixels whose bit is set in `found`; one that is set in `weak` too has to touch an edge. */
@inline
function enter(list: usize, first: u32, found: i32, weak: i32): usize {
  while (found != 0) {
    const bit = ctz(found);
    store<u32>(list, ((first + bit) << 1) | (~(weak >> bit) & 1));
    list += 4;
    found &= found - 1;
  }
  return list;
}
