/** Counts what an installation has completed. */
import type { Installation } from '../support/installation.ts';

export function completedTasks({ events }: Installation): number {
  return events.filter(({ key }) => key === 'task.completed').length;
}
