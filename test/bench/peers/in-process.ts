/** A task's steps in one process that calls the image code itself: from a file to a file, without any runtime. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FUNCTIONS_DIR } from '../../../runtime/functions.ts';
import { decode } from '../../../runtime/image/decode.ts';
import { DecodedImage } from '../../../runtime/image/images.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { type Plan, planTask, type ResultFile, renderStep } from '../../../runtime/image/pipeline.ts';
import type { Step } from '../../../runtime/task/task.ts';
import { AskedProcess, answerLines } from '../asked-process.ts';
import type { Contestant } from '../turns.ts';

const HERE = fileURLToPath(import.meta.url);
const LIMITS = { ...DEFAULT_LIMITS, threads: 1 };
const SPARE_PIXELS = 60_000_000;

/** Counts milliseconds of CPU a task. */
export function startInProcess(photo: string, folder: string, steps: Step[]): Contestant {
  const env = { VIPS_CONCURRENCY: '1' };
  const worker = new AskedProcess<{ cpuMs: number }>(
    process.execPath,
    [HERE, photo, folder, JSON.stringify(steps)],
    { env },
  );
  return {
    run: async (tasks) => (await worker.ask(tasks)).cpuMs / tasks,
    [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
  };
}

async function runTasks(tasks: number, [photo, folder, steps]: string[]): Promise<{ cpuMs: number }> {
  const start = process.cpuUsage();
  for (let task = 0; task < tasks; task++) {
    const plan = await planTask({ steps: JSON.parse(steps!) as Step[], output: {} }, FUNCTIONS_DIR);
    const { bytes } = await renderAll(plan, await readFile(photo!));
    await writeFile(join(folder!, `in-process-${task}`), bytes);
  }
  const { user, system } = process.cpuUsage(start);
  return { cpuMs: (user + system) / 1_000 };
}

async function renderAll(plan: Plan, bytes: Buffer): Promise<ResultFile> {
  const limits = { ...LIMITS, pixels: SPARE_PIXELS, outputPixels: SPARE_PIXELS };
  const context = {
    taskId: 'bench',
    signal: new AbortController().signal,
    load: () => Promise.reject(new Error('there is no second image')),
  };
  let image = await decode(bytes, limits);
  for (let step = 0; ; step++) {
    const rendered = await renderStep(plan, step, image, { ...context, step }, limits);
    if (rendered.kind === 'file') return rendered.file;
    image = new DecodedImage(rendered.pixels, rendered.source);
  }
}

if (import.meta.main) await answerLines((line) => runTasks(Number(line), process.argv.slice(2)));
