/**
 * Carrying: after a step, its worker goes on with the next one on the image in memory, where that costs less than a hop.
 *
 * A hop writes the samples and reads them again, waits in a queue, and takes three messages: about 8 ms of processor time
 * for each megapixel, and 15 ms whatever the size. What it buys is a worker of the next filter's own, with its own limits,
 * and its own scaling. A repeat carries nothing: what failed in another filter's worker gets its own.
 */
import type { Config } from '../config.ts';
import { Retryable } from '../errors.ts';
import type { Filter } from '../filter.ts';
import type { CarriedImage } from '../image/carried-image.ts';
import type { Plan } from '../image/pipeline.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import type { Job } from './protocol.ts';
import type { StepResources } from './step-resources.ts';

export type CarryMode = Config['carry'];

/** On an image of so many pixels or fewer, a hop costs more than any filter. */
const SMALL_PIXELS = 1_000_000;

/** What a step leaves in the child's memory for the next one. */
interface Kept {
  plan: Plan;
  image: CarriedImage;
  /** The marker of an earlier delivery of the job, whose result is missing. */
  promised: TaskMarker | undefined;
}

/** The same, with the step that takes it. */
export interface WaitingImage extends Kept {
  taskId: string;
  generation: number;
  step: number;
}

/** Whether the job goes on with an image in memory. */
export function isCarried({ step, fromStep }: Job): boolean {
  return step > fromStep;
}

/** @param next the filter that takes `image` */
export function isWorthCarrying(
  mode: CarryMode,
  next: Filter,
  { width, height }: { width: number; height: number },
): boolean {
  if (mode === 'none' || next.ownWorkers === true) return false;
  return mode === 'all' || next.cost === 'light' || width * height <= SMALL_PIXELS;
}

export function keepForNext({ task, generation, step }: Job, kept: Kept, resources: StepResources): void {
  resources.waiting = { ...kept, taskId: task.id, generation, step: step + 1 };
}

/** @throws Retryable when it was in the memory of a process that is gone */
export function takeWaiting({ task, generation }: Job, step: number, resources: StepResources): Kept {
  const { waiting } = resources;
  resources.waiting = undefined;
  if (waiting?.taskId === task.id && waiting.generation === generation && waiting.step === step)
    return waiting;
  throw new Retryable(`The process that had the image of step ${step - 1} is gone.`, {
    failureType: 'child-lost',
  });
}
