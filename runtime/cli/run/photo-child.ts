/** A process that renders the photos its parent names, one at a time. */
import type { ImageLimits } from '../../image/limits.ts';
import { planTask } from '../../image/pipeline.ts';
import type { Task } from '../../task/task.ts';
import { dieWithParent } from '../../worker/parent-death.ts';
import { type RenderedPhoto, renderPhoto } from './render-photo.ts';

/** What every photo is rendered by. */
export interface Rendering {
  task: Pick<Task, 'steps' | 'output'>;
  functionsDir: string;
  limits: ImageLimits;
}

/** `seq` tells an answer from what a filter sends to its parent. */
export interface PhotoRequest {
  seq: number;
  photo: string;
}

/** The first one, 0, says that the process has come up. */
export interface PhotoAnswer {
  seq: number;
  rendered?: RenderedPhoto;
}

await main();

async function main(): Promise<void> {
  dieWithParent(Number(process.argv[3]), process.argv[4] === 'bound');
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  const { task, functionsDir, limits } = JSON.parse(process.argv[2] ?? '{}') as Rendering;
  const plan = await planTask(task, functionsDir);
  process.on('message', async ({ seq, photo }: PhotoRequest) =>
    send({ seq, rendered: await renderPhoto(photo, plan, limits) }),
  );
  send({ seq: 0 });
}

function send(answer: PhotoAnswer): void {
  process.send?.(answer);
}
