/**
 * Many photos on all processors: in this process while they are little work, else in processes of their own. Threads
 * would come up sooner (0.2 s of processor time in place of 0.28 s), but share the image library's settings and the
 * four threads that all its work waits for, and a photo that ends one of them would end all.
 */
import { stat } from 'node:fs/promises';
import type { Plan } from '../../image/pipeline.ts';
import type { Rendering } from './photo-child.ts';
import { PhotoProcess } from './photo-process.ts';
import { type RenderedPhoto, renderPhoto } from './render-photo.ts';

/** Processes take a third of a second to come up: what takes less than this is done sooner without them. */
const WORTH_MS = 1_000;
/** So large photos take longer than that, whatever is done to them. */
const WORTH_BYTES = 24_000_000;

export interface PhotoOptions extends Rendering {
  plan: Plan;
  /** Photos at a time, at the most. */
  jobs: number;
  /** Called as a photo's turn comes. */
  onStart: (photo: string) => void;
  /** Stores a result; whoever made it takes no other photo before. */
  onEnd: (index: number, rendered: RenderedPhoto) => Promise<void>;
}

export async function renderPhotos(photos: string[], options: PhotoOptions): Promise<void> {
  const queue = new PhotoQueue(photos);
  if (options.jobs === 1 || (await totalBytes(photos)) < WORTH_BYTES) await renderHere(queue, options);
  const processes = Array.from({ length: Math.min(options.jobs, queue.left) });
  await Promise.all(processes.map(() => renderInProcesses(queue, options)));
  // What is left where no process could be started.
  await renderHere(queue, { ...options, jobs: 1 });
}

class PhotoQueue {
  readonly #photos: string[];
  #taken = 0;

  constructor(photos: string[]) {
    this.#photos = photos;
  }

  get left(): number {
    return this.#photos.length - this.#taken;
  }

  take(): [index: number, photo: string] {
    const index = this.#taken++;
    return [index, this.#photos[index]!];
  }
}

/** One photo after the other, until the rest is worth processes. */
async function renderHere(queue: PhotoQueue, options: PhotoOptions): Promise<void> {
  const { jobs, plan, limits, onStart, onEnd } = options;
  const start = performance.now();
  for (let done = 1; queue.left > 0; done++) {
    const [index, photo] = queue.take();
    onStart(photo);
    await onEnd(index, await renderPhoto(photo, plan, limits));
    const restMs = ((performance.now() - start) / done) * queue.left;
    if (jobs > 1 && queue.left > 1 && restMs > WORTH_MS) return;
  }
}

/** One process, and another one in its place when a photo has ended it. */
async function renderInProcesses(queue: PhotoQueue, options: PhotoOptions): Promise<void> {
  const { onStart, onEnd } = options;
  while (queue.left > 0) {
    const child = new PhotoProcess(options);
    try {
      if (!(await child.ready)) return;
      while (child.isAlive && queue.left > 0) {
        const [index, photo] = queue.take();
        onStart(photo);
        await onEnd(index, await child.render(photo));
      }
    } finally {
      child.end();
    }
  }
}

async function totalBytes(photos: string[]): Promise<number> {
  const stats = await Promise.all(photos.map((photo) => stat(photo).catch(() => undefined)));
  return stats.reduce((sum, file) => sum + (file?.size ?? 0), 0);
}
