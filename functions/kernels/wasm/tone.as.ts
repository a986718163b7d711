/** Rec. 601 luma, smoothing and blending of interleaved 8-bit samples, as Pillow computes them. */

/** Weights as pairs of i16: green's does not fit one, so half of it goes with red and half with blue. */
@inline
function redGreenWeights(red: i32, green: i32): v128 {
  return i32x4.splat(red | (green << 15));
}

@inline
function greenBlueWeights(green: i32, blue: i32): v128 {
  return i32x4.splat((green >> 1) | (blue << 16));
}

/** Spreads four pixels' red and green, or green and blue, over pairs of i16. */
@inline
function redGreen(isRgb: bool): v128 {
  return isRgb
    ? i8x16(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1)
    : i8x16(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1);
}

@inline
function greenBlue(isRgb: bool): v128 {
  return isRgb
    ? i8x16(1, -1, 2, -1, 4, -1, 5, -1, 7, -1, 8, -1, 10, -1, 11, -1)
    : i8x16(1, -1, 2, -1, 5, -1, 6, -1, 9, -1, 10, -1, 13, -1, 14, -1);
}

/** Zeros that the compiler takes for unknown; `count` is below 2³¹. */
@inline
function zeros(count: usize): v128 {
  return i32x4.splat(<i32>count >> 31);
}

/**
 * A constant that stays in a register through a loop: V8 makes a plain one anew at every use, which made luma
 * four times slower.
 */
@inline
function kept(constant: v128, none: v128): v128 {
  return v128.or(constant, none);
}

/** Luma of four pixels of three or four channels, as i32. */
@inline
function lumaOf(pixels: v128, first: v128, second: v128, weights: v128, others: v128, half: v128): v128 {
  const sum = i32x4.add(
    i32x4.dot_i16x8_s(i8x16.swizzle(pixels, first), weights),
    i32x4.dot_i16x8_s(i8x16.swizzle(pixels, second), others),
  );
  return i32x4.shr_u(i32x4.add(sum, half), 16);
}

@inline
function lumaRun(src: usize, pixels: usize, dst: usize, isRgb: bool, red: i32, green: i32, blue: i32): void {
  const none = zeros(pixels);
  const first = kept(redGreen(isRgb), none);
  const second = kept(greenBlue(isRgb), none);
  const weights = kept(redGreenWeights(red, green), none);
  const others = kept(greenBlueWeights(green, blue), none);
  const half = kept(i32x4.splat(32768), none);
  const step: usize = isRgb ? 12 : 16;
  let from = src;
  for (let x: usize = 0; x < pixels; x += 16) {
    const a = lumaOf(v128.load(from), first, second, weights, others, half);
    const b = lumaOf(v128.load(from + step), first, second, weights, others, half);
    const c = lumaOf(v128.load(from + 2 * step), first, second, weights, others, half);
    const d = lumaOf(v128.load(from + 3 * step), first, second, weights, others, half);
    const words = i16x8.narrow_i32x4_s(a, b);
    v128.store(dst + x, i8x16.narrow_i16x8_u(words, i16x8.narrow_i32x4_s(c, d)));
    from += 4 * step;
  }
}

/** One byte of luma, `(red R + green G + blue B + 32768) >> 16`, for each pixel of three or four channels. */
export function luma(src: usize, pixels: usize, channels: i32, dst: usize, red: i32, green: i32, blue: i32): void {
  if (channels == 3) lumaRun(src, pixels, dst, true, red, green, blue);
  else lumaRun(src, pixels, dst, false, red, green, blue);
}

/** The same for `rows` rows of red, green and blue; strides are bytes. */
export function lumaRows(
  src: usize, stride: usize, pixels: usize, rows: i32, dst: usize, dstStride: usize, red: i32, green: i32, blue: i32,
): void {
  for (let y = 0; y < rows; y++) {
    lumaRun(src + <usize>y * stride, pixels, dst + <usize>y * dstStride, true, red, green, blue);
  }
}

@inline
function greyRun(src: usize, pixels: usize, dst: usize, isRgb: bool, red: i32, green: i32, blue: i32): void {
  const none = zeros(pixels);
  const first = kept(redGreen(isRgb), none);
  const second = kept(greenBlue(isRgb), none);
  const weights = kept(redGreenWeights(red, green), none);
  const others = kept(greenBlueWeights(green, blue), none);
  const half = kept(i32x4.splat(32768), none);
  const spread = kept(
    isRgb
      ? i8x16(0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, -1, -1, -1, -1)
      : i8x16(0, 0, 0, -1, 4, 4, 4, -1, 8, 8, 8, -1, 12, 12, 12, -1),
    none,
  );
  const alpha = kept(i32x4.splat(isRgb ? 0 : 0xff000000), none);
  const step: usize = isRgb ? 12 : 16;
  let at: usize = 0;
  for (let x: usize = 0; x < pixels; x += 4) {
    const colour = v128.load(src + at);
    const grey = i8x16.swizzle(lumaOf(colour, first, second, weights, others, half), spread);
    v128.store(dst + at, v128.or(grey, v128.and(colour, alpha)));
    at += step;
  }
}

/** Luma in place of each colour sample; the fourth channel as it is. */
export function greyInPlace(
  src: usize, pixels: usize, channels: i32, dst: usize, red: i32, green: i32, blue: i32,
): void {
  if (channels == 3) greyRun(src, pixels, dst, true, red, green, blue);
  else greyRun(src, pixels, dst, false, red, green, blue);
}

/** Pillow's SMOOTH, (1 1 1 / 1 5 1 / 1 1 1) / 13, rounded. `src` has a halo of one pixel. */
export function smooth(
  src: usize, stride: usize, samples: usize, rows: i32, channels: usize, line: usize, dst: usize, dstStride: usize,
): void {
  for (let y = 0; y < rows; y++) {
    const centre = src + <usize>(y + 1) * stride;
    for (let x: usize = 0; x < samples + 2 * channels; x += 8) {
      const at = centre + x;
      const ends = i16x8.add(v128.load_ext<u8>(at - stride), v128.load_ext<u8>(at + stride));
      v128.store(line + (x << 1), i16x8.add(ends, v128.load_ext<u8>(at)));
    }
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 8) {
      const at = line + (x << 1);
      const sides = i16x8.add(v128.load(at), v128.load(at + 4 * channels));
      const nine = i16x8.add(sides, v128.load(at + 2 * channels));
      const middle = i16x8.shl(v128.load_ext<u8>(centre + channels + x), 2);
      const words = thirteenth(i16x8.add(nine, middle));
      v128.store64_lane(to + x, i8x16.narrow_i16x8_u(words, words), 0);
    }
  }
}

/** Sums up to 3315 divided by 13 and rounded: (s + 6) × 5042 / 65536 never leaves the right integer. */
@inline
function thirteenth(sums: v128): v128 {
  const raised = i16x8.add(sums, i16x8.splat(6));
  const reciprocal = i16x8.splat(5042);
  const first = i32x4.shr_u(i32x4.extmul_low_i16x8_u(raised, reciprocal), 16);
  const second = i32x4.shr_u(i32x4.extmul_high_i16x8_u(raised, reciprocal), 16);
  return i16x8.narrow_i32x4_s(first, second);
}

/** Pillow's Blend.c: `base + factor × (sample − base)` in single precision, truncated and clipped. */
export function blend(base: usize, src: usize, count: usize, factor: f32, dst: usize): void {
  const factors = f32x4.splat(factor);
  for (let x: usize = 0; x < count; x += 8) {
    const from = v128.load_ext<u8>(base + x);
    const difference = i16x8.sub(v128.load_ext<u8>(src + x), from);
    const first = f32x4.add(
      f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(from)),
      f32x4.mul(factors, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(difference))),
    );
    const second = f32x4.add(
      f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(from)),
      f32x4.mul(factors, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(difference))),
    );
    const words = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(first), i32x4.trunc_sat_f32x4_s(second));
    v128.store64_lane(dst + x, i8x16.narrow_i16x8_u(words, words), 0);
  }
}

/** Pillow's UnsharpMask.c: where |sample − blurred| > `threshold`, adds the difference × percent / 100, truncated. */
export function unsharp(src: usize, blurred: usize, count: usize, percent: f32, threshold: f32, dst: usize): void {
  for (let x: usize = 0; x < count; x += 8) {
    const sample = v128.load_ext<u8>(src + x);
    const difference = i16x8.sub(sample, v128.load_ext<u8>(blurred + x));
    const first = change(i32x4.extend_low_i16x8_s(difference), percent, threshold);
    const second = change(i32x4.extend_high_i16x8_s(difference), percent, threshold);
    const words = i16x8.add_sat_s(sample, i16x8.narrow_i32x4_s(first, second));
    v128.store64_lane(dst + x, i8x16.narrow_i16x8_u(words, words), 0);
  }
}

@inline
function change(difference: v128, percent: f32, threshold: f32): v128 {
  const exact = f32x4.convert_i32x4_s(difference);
  const isOver = f32x4.gt(f32x4.abs(exact), f32x4.splat(threshold));
  const scaled = f32x4.div(f32x4.mul(exact, f32x4.splat(percent)), f32x4.splat(100));
  return v128.and(isOver, i32x4.trunc_sat_f32x4_s(scaled));
}

/** The sum of up to 16 million bytes. */
export function sum(src: usize, count: usize): u32 {
  const whole = count & ~15;
  let sums = i32x4.splat(0);
  for (let x: usize = 0; x < whole; x += 16) {
    sums = i32x4.add(sums, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(v128.load(src + x))));
  }
  let total = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
  total += i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3);
  for (let x = whole; x < count; x++) total += load<u8>(src + x);
  return total;
}
