/** All steps over one photo, in this process. */
import { readFile } from 'node:fs/promises';
import { asError, Rejection } from '../../errors.ts';
import type { Context } from '../../filter.ts';
import { decode } from '../../image/decode.ts';
import { packIntermediate, unpackIntermediate } from '../../image/intermediate.ts';
import type { ImageLimits } from '../../image/limits.ts';
import { type Plan, type ResultFile, renderStep } from '../../image/pipeline.ts';

/** A photo's result, which is not stored yet, or why there is none. */
export interface RenderedPhoto {
  bytesBefore: number;
  ms: number;
  file?: ResultFile;
  error?: string;
}

/** Never throws. */
export async function renderPhoto(photo: string, plan: Plan, limits: ImageLimits): Promise<RenderedPhoto> {
  const start = performance.now();
  let bytesBefore = 0;
  const facts = () => ({ bytesBefore, ms: performance.now() - start });
  try {
    const bytes = await readFile(photo);
    bytesBefore = bytes.length;
    const file = await renderAll(bytes, plan, limits);
    return { ...facts(), file };
  } catch (thrown) {
    return { ...facts(), error: asError(thrown).message };
  }
}

/** With the same lossless form between two steps as the queue's workers use. */
async function renderAll(bytes: Buffer, plan: Plan, limits: ImageLimits): Promise<ResultFile> {
  if (bytes.length > limits.inputBytes)
    throw new Rejection(`The file has ${bytes.length} bytes; expected at most ${limits.inputBytes}.`, {
      failureType: 'limit-exceeded',
    });
  let image = await decode(bytes, limits);
  for (let step = 0; ; step++) {
    const rendered = await renderStep(plan, step, image, localContext(step, limits), limits);
    if (rendered.kind === 'file') return rendered.file;
    image = await unpackIntermediate(await packIntermediate(rendered.pixels, rendered.source), limits);
  }
}

/** A step's second input is a file on this machine. */
function localContext(step: number, limits: ImageLimits): Context {
  return {
    taskId: 'local',
    step,
    signal: new AbortController().signal,
    load: async (input) => {
      const bytes = await readFile(input).catch((error: unknown) => {
        throw new Rejection(`${input}: cannot be read: ${asError(error).message}`, {
          failureType: 'input-not-found',
          cause: error,
        });
      });
      return await decode(bytes, limits);
    },
  };
}
