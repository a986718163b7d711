/** A bare loop over photos in a process of its own, without any queue: what the work itself costs. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AskedProcess, answerLines } from '../asked-process.ts';
import type { Contestant } from '../turns.ts';
import { makeSmall } from './make-small.ts';

const HERE = fileURLToPath(import.meta.url);

export interface BareOptions {
  photo: string;
  /** Where the results go. */
  folder: string;
  /** Photos in work at the same time. */
  atOnce: number;
  cpu?: number;
}

/** Counts images a second. */
export function startBareLoop({ photo, folder, atOnce, cpu }: BareOptions): Contestant {
  const loop = new AskedProcess<{ ms: number }>(process.execPath, [HERE, photo, folder, String(atOnce)], {
    cpu,
  });
  return {
    run: async (photos) => (photos * 1_000) / (await loop.ask(photos)).ms,
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

async function runAll(photos: number, [photo, folder, atOnce]: string[]): Promise<{ ms: number }> {
  let next = 0;
  const start = performance.now();
  const one = async () => {
    while (next < photos) await makeSmall(photo!, join(folder!, `${next++}.jpg`));
  };
  await Promise.all(Array.from({ length: Number(atOnce) }, one));
  return { ms: performance.now() - start };
}

if (import.meta.main) await answerLines((line) => runAll(Number(line), process.argv.slice(2)));
