/** The single grey plane on which edges are looked for. */
import type { Pixels } from '../../filter.ts';
import { emptyLike, grayscale } from './grayscale.ts';

export { emptyLike };

/** Rec. 601 luma (Pillow's "L") multiplied by alpha, so that the colours of hidden pixels make no edges. */
export function edgePlane(pixels: Pixels): Pixels {
  const grey = grayscale(pixels);
  if (grey.channels === 1) return grey;
  const { data, width, height } = grey;
  const max = data instanceof Uint8Array ? 255 : 65535;
  const out = emptyLike(data, width * height);
  for (let i = 0; i < out.length; i++) out[i] = Math.round((data[2 * i]! * data[2 * i + 1]!) / max);
  return { data: out, width, height, channels: 1 };
}
