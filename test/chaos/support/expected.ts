/** The bytes a task must give: all its steps in this process, through the same pipeline but without any queue. */
import type { Context } from '../../../runtime/filter.ts';
import { FUNCTIONS_DIR } from '../../../runtime/functions.ts';
import { decode } from '../../../runtime/image/decode.ts';
import { packIntermediate, unpackIntermediate } from '../../../runtime/image/intermediate.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { planTask, renderStep } from '../../../runtime/image/pipeline.ts';
import type { Task } from '../../../runtime/task/task.ts';

export async function renderAll(
  input: Buffer,
  task: Pick<Task, 'steps' | 'output'>,
  functionsDir = FUNCTIONS_DIR,
): Promise<Buffer> {
  const plan = await planTask(task, functionsDir);
  let image = await decode(input, DEFAULT_LIMITS);
  for (let step = 0; ; step++) {
    const rendered = await renderStep(plan, step, image, contextOf(step), DEFAULT_LIMITS);
    if (rendered.kind === 'file') return rendered.file.bytes;
    image = await unpackIntermediate(
      await packIntermediate(rendered.pixels, rendered.source),
      DEFAULT_LIMITS,
    );
  }
}

function contextOf(step: number): Context {
  return {
    taskId: 'expected',
    step,
    signal: new AbortController().signal,
    load: () => Promise.reject(new Error('these tasks have one input')),
  };
}
