/** A hold on a process that renders photos. When it ends by itself, the photo in hand has failed. */
import type { ChildProcess } from 'node:child_process';
import { childEnvironment, forkBound, killChild } from '../../worker/start-child.ts';
import type { PhotoAnswer, PhotoRequest, Rendering } from './photo-child.ts';
import type { RenderedPhoto } from './render-photo.ts';

const CHILD = new URL('./photo-child.ts', import.meta.url);

type Outcome = Pick<RenderedPhoto, 'error'> & Partial<RenderedPhoto>;

export class PhotoProcess {
  /** Whether it has come up; resolves once it is known. */
  readonly ready: Promise<boolean>;
  readonly #process: ChildProcess;
  #seq = 0;
  #settle: (outcome: Outcome) => void;

  constructor(rendering: Rendering) {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#settle = resolve;
    this.ready = promise.then(({ error }) => error === undefined);
    // What a filter prints is not what the command prints.
    this.#process = forkBound(CHILD, rendering, childEnvironment(process.env, 1), {
      stdio: ['ignore', process.stderr.fd, 'inherit', 'ipc'],
    });
    this.#process.on('message', (answer: PhotoAnswer | null) => {
      if (answer?.seq === this.#seq) this.#settle({ ...answer.rendered });
    });
    this.#process.on('error', (error) => this.#settle({ error: error.message }));
    this.#process.on('exit', (code, signal) =>
      this.#settle({ error: `The process that worked on it ended (${signal ?? `exit code ${code}`}).` }),
    );
  }

  /** False once it has ended. */
  get isAlive(): boolean {
    return this.#process.connected && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Never throws. */
  async render(photo: string): Promise<RenderedPhoto> {
    const start = performance.now();
    const outcome = await new Promise<Outcome>((resolve) => {
      this.#settle = resolve;
      const request: PhotoRequest = { seq: ++this.#seq, photo };
      this.#process.send(request, (error) => error !== null && resolve({ error: error.message }));
    });
    return { bytesBefore: 0, ms: performance.now() - start, ...outcome };
  }

  end(): void {
    killChild(this.#process);
  }
}
