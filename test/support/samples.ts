/** Images made by number, the same each time, for tests of pixel kernels. */
import { randomStream } from '../../keda/random.ts';
import type { Pixels } from '../../runtime/filter.ts';

export interface Shape {
  width: number;
  height: number;
  channels: Pixels['channels'];
  bits?: 8 | 16;
}

/** Every sample by its place, from 0 to 1. */
export function imageBy({ width, height, channels, bits = 8 }: Shape, sample: SampleAt): Pixels {
  const length = width * height * channels;
  const data = bits === 8 ? new Uint8Array(length) : new Uint16Array(length);
  const max = bits === 8 ? 255 : 65535;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++, i++) {
        data[i] = Math.round(Math.min(1, Math.max(0, sample(x, y, channel))) * max);
      }
    }
  }
  return { data, width, height, channels };
}

export type SampleAt = (x: number, y: number, channel: number) => number;

/** Noise without any order; with alpha, that too. */
export function noise(shape: Shape, seed = 1): Pixels {
  const random = randomStream(seed);
  return imageBy(shape, () => random());
}

/** Soft shapes with some grain, as a photo has: long edges, few of them. */
export function texture(shape: Shape, seed = 1): Pixels {
  const random = randomStream(seed);
  return imageBy(shape, (x, y, channel) => {
    const waves = Math.sin(x / 17 + channel) + Math.sin(y / 11) + Math.sin((x + 2 * y) / 41);
    return 0.5 + (waves > 0 ? 0.25 : -0.15) + 0.06 * waves + 0.05 * (random() - 0.5);
  });
}
