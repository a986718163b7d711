/** The image that one step hands to the next in the same process: the same samples as by way of the storage. */
import type { Pixels, Source } from '../filter.ts';
import { DecodedImage } from './images.ts';
import { borrowSamples } from './sample-memory.ts';

export class CarriedImage extends DecodedImage {
  readonly #samples: Pixels;
  readonly #giveBack: () => void;

  constructor(samples: Pixels, source: Source) {
    const giveBack = borrowSamples(samples);
    super(samples, source);
    this.#samples = samples;
    this.#giveBack = giveBack;
  }

  /** Frees the samples, unless a filter has made its result of the very same ones. */
  release(result?: Pixels): void {
    if (result?.data.buffer !== this.#samples.data.buffer) this.#giveBack();
  }
}
