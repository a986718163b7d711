/**
 * Lets the worker's own code run inside the model: its waits are the model's, and images are a few letters. Everything
 * that decides (slot, decide, settle, steps, markers) is the real code. To be imported first.
 */
import { registerHooks } from 'node:module';

const MODEL = new URL('./', import.meta.url).href;
const WAITS = new URL('virtual-waits.ts', MODEL).href;
const IMAGES = new URL('virtual-images.ts', MODEL).href;

/** By importing file: which of its imports are replaced. */
const REPLACED: Record<string, Record<string, string>> = {
  '/runtime/worker/settle.ts': { 'node:timers/promises': WAITS },
  '/runtime/worker/mark-task.ts': { 'node:timers/promises': WAITS },
  '/runtime/worker/run-step.ts': {
    '../image/carried-image.ts': IMAGES,
    '../image/decode.ts': IMAGES,
    '../image/intermediate.ts': IMAGES,
    '../image/pipeline.ts': IMAGES,
    '../image/sample-memory.ts': IMAGES,
  },
  '/runtime/worker/finish-task.ts': { '../image/pipeline.ts': IMAGES },
};

registerHooks({
  resolve(specifier, context, nextResolve) {
    const importer = Object.keys(REPLACED).find((file) => context.parentURL?.endsWith(file));
    const url = importer === undefined ? undefined : REPLACED[importer]?.[specifier];
    return url === undefined ? nextResolve(specifier, context) : { url, shortCircuit: true };
  },
});
