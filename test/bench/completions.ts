/** Counts what an installation completes, at as little cost as can be: bodies are not looked at. */
import type { Installation } from '../support/installation.ts';

const KEY = 'task.completed';

export class Completions {
  count = 0;
  readonly #waiting = new Set<{ count: number; resolve: (atMs: number) => void }>();

  /** From now on. Its queue ends with the installation's connection. */
  static async of({ broker, names }: Pick<Installation, 'broker' | 'names'>): Promise<Completions> {
    const completions = new Completions();
    const ready = Promise.withResolvers<void>();
    const counting = broker.withChannel(async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, names.events, KEY);
      await channel.consume(queue, () => completions.#add(), { noAck: true });
      ready.resolve();
      await new Promise<never>(() => {});
    });
    counting.catch(ready.reject);
    await ready.promise;
    return completions;
  }

  /** Resolves once so many have been completed in all, with the moment (ms, monotonic) at which that was so. */
  reach(count: number, timeoutMs = 300_000): Promise<number> {
    if (this.count >= count) return Promise.resolve(performance.now());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.count} of ${count} tasks were completed within ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#waiting.add({
        count,
        resolve: (atMs) => {
          clearTimeout(timer);
          resolve(atMs);
        },
      });
    });
  }

  #add(): void {
    this.count++;
    for (const waiting of this.#waiting) {
      if (this.count < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(performance.now());
    }
  }
}
