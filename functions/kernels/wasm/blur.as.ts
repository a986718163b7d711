/**
 * Convolution of tiles for the Gaussian blur. A tile arrives with its halo: `reach` more pixels on each side.
 * All strides are bytes; rows may be read and written up to 63 bytes beyond their end.
 *
 * Symmetric kernels are given as half weights: h[0] is half the centre's weight, h[k] the weight of both ±k,
 * so that sample ±0 needs no case of its own.
 */

/** Q15 weights on 8-bit rows, kept as Q6 between the passes: each step rounds by less than 1/100 of a level. */
const VERTICAL_SHIFT = 9;
const VERTICAL_HALF = 256;
const HORIZONTAL_SHIFT = 21;
const HORIZONTAL_HALF = 1048576;

/**
 * Blurs 8-bit samples. `weights` holds `(reach + 1) / 2` pairs of Q15 half weights as i16 (their sum is 16384);
 * `reach` is odd. `line` is scratch for one row of i16 with its halo.
 */
export function blurBytes(
  src: usize, stride: usize, samples: usize, rows: i32, channels: i32, reach: i32,
  weights: usize, line: usize, dst: usize, dstStride: usize,
): void {
  const halo: usize = <usize>(reach * channels);
  const step: usize = <usize>channels << 1;
  for (let y = 0; y < rows; y++) {
    const centre = src + <usize>(y + reach) * stride;
    blurBytesDown(centre, stride, samples + 2 * halo, reach, weights, line);
    blurBytesAcross(line + 2 * halo, step, samples, reach, weights, dst + <usize>y * dstStride);
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

/** The vertical pass of one row: 16 samples at a time, two pairs of rows at a time. */
function blurBytesDown(centre: usize, stride: usize, samples: usize, reach: i32, weights: usize, line: usize): void {
  for (let x: usize = 0; x < samples; x += 16) {
    let up = centre + x;
    let down = up;
    let a = i32x4.splat(VERTICAL_HALF);
    let b = a;
    let c = a;
    let d = a;
    for (let k = 0; k < reach; k += 2) {
      const weight = v128.load32_splat(weights + (<usize>k << 1));
      const near = i16x8.add(v128.load_ext<u8>(up), v128.load_ext<u8>(down));
      const near8 = i16x8.add(v128.load_ext<u8>(up, 8), v128.load_ext<u8>(down, 8));
      up -= stride;
      down += stride;
      const far = i16x8.add(v128.load_ext<u8>(up), v128.load_ext<u8>(down));
      const far8 = i16x8.add(v128.load_ext<u8>(up, 8), v128.load_ext<u8>(down, 8));
      up -= stride;
      down += stride;
      a = i32x4.add(a, i32x4.dot_i16x8_s(low(near, far), weight));
      b = i32x4.add(b, i32x4.dot_i16x8_s(high(near, far), weight));
      c = i32x4.add(c, i32x4.dot_i16x8_s(low(near8, far8), weight));
      d = i32x4.add(d, i32x4.dot_i16x8_s(high(near8, far8), weight));
    }
    const to = line + (x << 1);
    v128.store(to, i16x8.narrow_i32x4_s(i32x4.shr_s(a, VERTICAL_SHIFT), i32x4.shr_s(b, VERTICAL_SHIFT)));
    v128.store(to, i16x8.narrow_i32x4_s(i32x4.shr_s(c, VERTICAL_SHIFT), i32x4.shr_s(d, VERTICAL_SHIFT)), 16);
  }
}

/** The horizontal pass of one row: as the vertical one, with neighbours `step` bytes apart. */
function blurBytesAcross(line: usize, step: usize, samples: usize, reach: i32, weights: usize, dst: usize): void {
  for (let x: usize = 0; x < samples; x += 16) {
    let left = line + (x << 1);
    let right = left;
    let a = i32x4.splat(HORIZONTAL_HALF);
    let b = a;
    let c = a;
    let d = a;
    for (let k = 0; k < reach; k += 2) {
      const weight = v128.load32_splat(weights + (<usize>k << 1));
      const near = i16x8.add(v128.load(left), v128.load(right));
      const near8 = i16x8.add(v128.load(left, 16), v128.load(right, 16));
      left -= step;
      right += step;
      const far = i16x8.add(v128.load(left), v128.load(right));
      const far8 = i16x8.add(v128.load(left, 16), v128.load(right, 16));
      left -= step;
      right += step;
      a = i32x4.add(a, i32x4.dot_i16x8_s(low(near, far), weight));
      b = i32x4.add(b, i32x4.dot_i16x8_s(high(near, far), weight));
      c = i32x4.add(c, i32x4.dot_i16x8_s(low(near8, far8), weight));
      d = i32x4.add(d, i32x4.dot_i16x8_s(high(near8, far8), weight));
    }
    const first = i16x8.narrow_i32x4_s(i32x4.shr_s(a, HORIZONTAL_SHIFT), i32x4.shr_s(b, HORIZONTAL_SHIFT));
    const second = i16x8.narrow_i32x4_s(i32x4.shr_s(c, HORIZONTAL_SHIFT), i32x4.shr_s(d, HORIZONTAL_SHIFT));
    v128.store(dst + x, i8x16.narrow_i16x8_u(first, second));
  }
}

/** Blurs float samples; `weights` holds `reach + 1` half weights as f32, `line` is scratch for one row with its halo. */
export function blurFloats(
  src: usize, stride: usize, samples: usize, rows: i32, channels: i32, reach: i32,
  weights: usize, line: usize, dst: usize, dstStride: usize,
): void {
  const halo: usize = <usize>(reach * channels);
  for (let y = 0; y < rows; y++) {
    const centre = src + <usize>(y + reach) * stride;
    convolveRow(centre, stride, samples + 2 * halo, reach, weights, line);
    convolveRow(line + 4 * halo, <usize>channels << 2, samples, reach, weights, dst + <usize>y * dstStride);
  }
}

/** One row of a symmetric convolution, down (`step` = stride) or across (`step` = one pixel). */
function convolveRow(centre: usize, step: usize, samples: usize, reach: i32, weights: usize, dst: usize): void {
  const end = samples << 2;
  for (let x: usize = 0; x < end; x += 32) {
    let before = centre + x;
    let after = before;
    let a = f32x4.splat(0);
    let b = a;
    for (let k = 0; k <= reach; k++) {
      const weight = v128.load32_splat(weights + (<usize>k << 2));
      a = f32x4.add(a, f32x4.mul(weight, f32x4.add(v128.load(before), v128.load(after))));
      b = f32x4.add(b, f32x4.mul(weight, f32x4.add(v128.load(before, 16), v128.load(after, 16))));
      before -= step;
      after += step;
    }
    v128.store(dst + x, a);
    v128.store(dst + x, b, 16);
  }
}

/**
 * Smooths and keeps every `factor`-th pixel and row: `src` has a halo of `reach` around
 * `pixels × factor` by `rows × factor`; `line` is scratch for one full row with its halo.
 */
export function shrink(
  src: usize, stride: usize, pixels: i32, rows: i32, channels: i32, reach: i32, factor: i32,
  weights: usize, line: usize, dst: usize, dstStride: usize,
): void {
  const samples: usize = <usize>((pixels * factor + 2 * reach) * channels);
  const pixel: usize = <usize>channels << 2;
  for (let y = 0; y < rows; y++) {
    convolveRow(src + <usize>(y * factor + reach) * stride, stride, samples, reach, weights, line);
    let from = line + <usize>reach * pixel;
    let to = dst + <usize>y * dstStride;
    for (let x = 0; x < pixels; x++) {
      // Four lanes hold one pixel of up to four channels; what a lane holds beyond it is overwritten by the next.
      v128.store(to, convolvePixel(from, pixel, reach, weights));
      from += <usize>factor * pixel;
      to += pixel;
    }
  }
}

@inline
function convolvePixel(centre: usize, pixel: usize, reach: i32, weights: usize): v128 {
  let before = centre;
  let after = centre;
  let sum = f32x4.splat(0);
  for (let k = 0; k <= reach; k++) {
    const weight = v128.load32_splat(weights + (<usize>k << 2));
    sum = f32x4.add(sum, f32x4.mul(weight, f32x4.add(v128.load(before), v128.load(after))));
    before -= pixel;
    after += pixel;
  }
  return sum;
}

/**
 * Interpolates `pixels × rows` from every `factor`-th: output pixel i lies at `first + i` in units of 1/factor of
 * the source's pixels, its four source pixels begin at `floor(i)`. `weights` holds four f32 for each of the
 * `factor` phases. `lines` is scratch for all source rows at full width, `lineStride` bytes apart.
 */
export function grow(
  src: usize, stride: usize, pixels: i32, rows: i32, channels: i32, factor: i32, phaseX: i32, phaseY: i32,
  weights: usize, lines: usize, lineStride: usize, dst: usize, dstStride: usize,
): void {
  const sourceRows = (phaseY + rows - 1) / factor + 4;
  for (let y = 0; y < sourceRows; y++) {
    growRow(src + <usize>y * stride, pixels, channels, factor, phaseX, weights, lines + <usize>y * lineStride);
  }
  const end: usize = <usize>(pixels * channels) << 2;
  let from = lines;
  let phase = phaseY;
  for (let y = 0; y < rows; y++) {
    growDown(from, lineStride, end, weights + (<usize>phase << 4), dst + <usize>y * dstStride);
    if (++phase == factor) {
      phase = 0;
      from += lineStride;
    }
  }
}

function growRow(src: usize, pixels: i32, channels: i32, factor: i32, firstPhase: i32, weights: usize, dst: usize): void {
  const pixel: usize = <usize>channels << 2;
  let from = src;
  let to = dst;
  let phase = firstPhase;
  for (let x = 0; x < pixels; x++) {
    const w = weights + (<usize>phase << 4);
    const near = f32x4.add(
      f32x4.mul(v128.load32_splat(w), v128.load(from)),
      f32x4.mul(v128.load32_splat(w, 4), v128.load(from + pixel)),
    );
    const far = f32x4.add(
      f32x4.mul(v128.load32_splat(w, 8), v128.load(from + 2 * pixel)),
      f32x4.mul(v128.load32_splat(w, 12), v128.load(from + 3 * pixel)),
    );
    v128.store(to, f32x4.add(near, far));
    to += pixel;
    if (++phase == factor) {
      phase = 0;
      from += pixel;
    }
  }
}

function growDown(from: usize, stride: usize, end: usize, w: usize, dst: usize): void {
  const w0 = v128.load32_splat(w);
  const w1 = v128.load32_splat(w, 4);
  const w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12);
  for (let x: usize = 0; x < end; x += 16) {
    const at = from + x;
    const near = f32x4.add(f32x4.mul(w0, v128.load(at)), f32x4.mul(w1, v128.load(at + stride)));
    const far = f32x4.add(f32x4.mul(w2, v128.load(at + 2 * stride)), f32x4.mul(w3, v128.load(at + 3 * stride)));
    v128.store(dst + x, f32x4.add(near, far));
  }
}
