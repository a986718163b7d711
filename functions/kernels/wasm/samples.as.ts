/** Samples between their stored form and 32-bit floats, and premultiplied alpha. Strides are bytes. */

/** Repeats a row's first pixel `left` times before it and its last `right` times after it, on every row. */
export function extendRows(first: usize, stride: usize, rows: i32, pixel: i32, left: i32, width: i32, right: i32): void {
  for (let y = 0; y < rows; y++) {
    const start = first + <usize>y * stride;
    const from = start + <usize>(left * pixel);
    for (let i = 0; i < left; i++) memory.copy(start + <usize>(i * pixel), from, pixel);
    const last = from + <usize>((width - 1) * pixel);
    for (let i = 1; i <= right; i++) memory.copy(last + <usize>(i * pixel), last, pixel);
  }
}

export function floatsFromBytes(src: usize, stride: usize, samples: usize, rows: i32, dst: usize, dstStride: usize): void {
  for (let y = 0; y < rows; y++) {
    const from = src + <usize>y * stride;
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 8) {
      const words = v128.load_ext<u8>(from + x);
      v128.store(to + (x << 2), f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(words)));
      v128.store(to + (x << 2), f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(words)), 16);
    }
  }
}

export function floatsFromWords(src: usize, stride: usize, samples: usize, rows: i32, dst: usize, dstStride: usize): void {
  for (let y = 0; y < rows; y++) {
    const from = src + <usize>y * stride;
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 4) {
      v128.store(to + (x << 2), f32x4.convert_i32x4_u(v128.load_ext<u16>(from + (x << 1))));
    }
  }
}

@inline
function rounded(at: usize): v128 {
  return i32x4.trunc_sat_f32x4_u(f32x4.add(v128.load(at), f32x4.splat(0.5)));
}

/** Rounds to the nearest and clips at 0 and 255. */
export function bytesFromFloats(src: usize, stride: usize, samples: usize, rows: i32, dst: usize, dstStride: usize): void {
  for (let y = 0; y < rows; y++) {
    const from = src + <usize>y * stride;
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 16) {
      const at = from + (x << 2);
      const first = i16x8.narrow_i32x4_s(rounded(at), rounded(at + 16));
      const second = i16x8.narrow_i32x4_s(rounded(at + 32), rounded(at + 48));
      v128.store(to + x, i8x16.narrow_i16x8_u(first, second));
    }
  }
}

/** Rounds to the nearest and clips at 0 and 65535. */
export function wordsFromFloats(src: usize, stride: usize, samples: usize, rows: i32, dst: usize, dstStride: usize): void {
  for (let y = 0; y < rows; y++) {
    const from = src + <usize>y * stride;
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < samples; x += 8) {
      const at = from + (x << 2);
      v128.store(to + (x << 1), i16x8.narrow_i32x4_u(rounded(at), rounded(at + 16)));
    }
  }
}

/** Multiplies colour by alpha / max, in place; alpha is each pixel's last channel. */
export function premultiply(at: usize, stride: usize, pixels: i32, rows: i32, channels: i32, max: f32): void {
  for (let y = 0; y < rows; y++) {
    let to = at + <usize>y * stride;
    for (let x = 0; x < pixels; x++) {
      const last = to + (<usize>(channels - 1) << 2);
      const alpha = load<f32>(last);
      const share = alpha / max;
      for (; to < last; to += 4) store<f32>(to, load<f32>(to) * share);
      to += 4;
    }
  }
}

/** Divides colour by alpha / max, in place; a pixel whose alpha rounds to nothing becomes black. */
export function unpremultiply(at: usize, stride: usize, pixels: i32, rows: i32, channels: i32, max: f32): void {
  for (let y = 0; y < rows; y++) {
    let to = at + <usize>y * stride;
    for (let x = 0; x < pixels; x++) {
      const last = to + (<usize>(channels - 1) << 2);
      const alpha = load<f32>(last);
      const share: f32 = alpha < 0.5 ? 0 : max / alpha;
      for (; to < last; to += 4) store<f32>(to, load<f32>(to) * share);
      to += 4;
    }
  }
}

/** Where the bytes of a mirrored vector come from: the last whole pixel's first. */
function mirrored(pixel: usize): v128 {
  switch (<i32>pixel) {
    case 1: return i8x16(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    case 2: return i8x16(14, 15, 12, 13, 10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1);
    case 3: return i8x16(12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, -1);
    case 4: return i8x16(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    case 6: return i8x16(6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, -1, -1, -1, -1);
    default: return i8x16(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  }
}

/** Swaps left and right on every row of pixels of 1, 2, 3, 4, 6 or 8 bytes. */
export function mirrorRows(
  src: usize, stride: usize, pixels: usize, rows: i32, pixel: usize, dst: usize, dstStride: usize,
): void {
  const order = mirrored(pixel);
  const step: usize = <usize>16 / pixel * pixel;
  for (let y = 0; y < rows; y++) {
    const end = src + <usize>y * stride + pixels * pixel;
    const to = dst + <usize>y * dstStride;
    for (let x: usize = 0; x < pixels * pixel; x += step) {
      v128.store(to + x, i8x16.swizzle(v128.load(end - x - step), order));
    }
  }
}
