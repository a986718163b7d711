/** Marks a task as ended, and does not give up at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Task } from '../task/task.ts';
import type { Child } from './child-process.ts';
import type { MarkFirst } from './decision.ts';
import type { StandingMarker } from './protocol.ts';

/** Without its marker, other copies of a task cannot know that it has ended: worth more than one try. */
const MARK_TRIES = 3;
const MARK_RETRY_DELAY_MS = 500;

/** @returns the marker that stands; the given one when the storage takes none at all */
export async function markTask(
  child: Pick<Child, 'mark'>,
  task: Task,
  { mark, replace = false }: MarkFirst,
): Promise<StandingMarker> {
  for (let tries = 1; tries <= MARK_TRIES; tries++) {
    const standing = await child.mark(task, mark, replace);
    if (standing !== undefined) return standing;
    if (tries < MARK_TRIES) await sleep(MARK_RETRY_DELAY_MS);
  }
  return { marker: mark, isSameTask: true, isStored: true };
}
