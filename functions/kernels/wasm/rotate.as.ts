/** Bilinear sampling along slanted rows. Coordinates are 16.16 fixed-point pixels. */

/** Bits of a neighbour's weight: two of them and a sample fit 31 bits. */
const WEIGHT_BITS = 11;
const ONE = 1 << WEIGHT_BITS;
const HALF = 1 << (2 * WEIGHT_BITS - 1);

@inline
function weight(at: i32): i32 {
  return (at >> (16 - WEIGHT_BITS)) & (ONE - 1);
}

/**
 * Samples `count` pixels a row from (x, y) on, each (cos, −sin) after the one before, each row (sin, cos) after the
 * row above; 8-bit samples of one or three channels, rounded.
 */
export function turn(
  src: usize, stride: usize, channels: i32, x: i32, y: i32, cos: i32, sin: i32,
  count: usize, rows: i32, dst: usize, dstStride: usize,
): void {
  for (let row = 0; row < rows; row++) {
    const to = dst + <usize>row * dstStride;
    if (channels == 3) turnColour(src, stride, x, y, cos, sin, count, to);
    else turnGrey(src, stride, x, y, cos, sin, count, to);
    x += sin;
    y += cos;
  }
}

function turnGrey(src: usize, stride: usize, x: i32, y: i32, cos: i32, sin: i32, count: usize, dst: usize): void {
  for (let i: usize = 0; i < count; i++) {
    const at = src + <usize>(y >> 16) * stride + <usize>(x >> 16);
    const right = weight(x);
    const down = weight(y);
    const upper = <i32>load<u8>(at) * (ONE - right) + <i32>load<u8>(at, 1) * right;
    const lower = <i32>load<u8>(at + stride) * (ONE - right) + <i32>load<u8>(at + stride, 1) * right;
    store<u8>(dst + i, <u8>((upper * (ONE - down) + lower * down + HALF) >> (2 * WEIGHT_BITS)));
    x += cos;
    y -= sin;
  }
}

function turnColour(src: usize, stride: usize, x: i32, y: i32, cos: i32, sin: i32, count: usize, dst: usize): void {
  // Zeros that the compiler takes for unknown, so that the constants stay in registers.
  const none = i32x4.splat(<i32>count >> 31);
  const pairs = v128.or(i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1), none);
  const half = v128.or(i32x4.splat(HALF), none);
  for (let i: usize = 0; i < count; i++) {
    const at = src + <usize>(y >> 16) * stride + <usize>(x >> 16) * 3;
    const right = weight(x);
    const down = weight(y);
    const across = i32x4.splat((ONE - right) | (right << 16));
    const upper = i32x4.dot_i16x8_s(i8x16.swizzle(v128.load64_zero(at), pairs), across);
    const lower = i32x4.dot_i16x8_s(i8x16.swizzle(v128.load64_zero(at + stride), pairs), across);
    const sum = i32x4.add(
      i32x4.add(i32x4.mul(upper, i32x4.splat(ONE - down)), half),
      i32x4.mul(lower, i32x4.splat(down)),
    );
    const words = i16x8.narrow_i32x4_s(i32x4.shr_u(sum, 2 * WEIGHT_BITS), none);
    v128.store32_lane(dst, i8x16.narrow_i16x8_u(words, none), 0);
    dst += 3;
    x += cos;
    y -= sin;
  }
}
