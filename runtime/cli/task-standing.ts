/** What the storage tells of a task: how each run of it ended, and whether one is under way. */
import type { Storage } from '../storage/storage.ts';
import type { Task } from '../task/task.ts';
import { DamagedMarker, inspectMarker, type TaskMarker } from '../task/task-marker.ts';
import { readSubmissionRecord, type SubmissionRecord } from './submission-record.ts';

/** The end of one generation of a task: its marker, or in words why that cannot be read. */
export type GenerationEnd = { generation: number } & (
  | { marker: TaskMarker; damage?: undefined }
  | { marker?: undefined; damage: string }
);

export interface TaskStanding {
  /** The newest end; undefined when none is known. */
  end: GenerationEnd | undefined;
  record: SubmissionRecord | 'damaged' | undefined;
  /** The generation that is published and has not ended; undefined when none is known. */
  inFlight: number | undefined;
}

export async function standingOf(storage: Storage, id: string): Promise<TaskStanding> {
  const record = await readSubmissionRecord(storage, id);
  const recorded = record === 'damaged' ? undefined : record?.generation;
  let end = await latestEnd(storage, id);
  // Of a task that was replayed after long, the markers of earlier generations have been swept away.
  if (recorded !== undefined && recorded > (end?.generation ?? -1))
    end = (await latestEnd(storage, id, recorded)) ?? end;
  const isOpen = recorded !== undefined && recorded > (end?.generation ?? -1);
  return { end, record, inFlight: isOpen ? recorded : undefined };
}

/** How the newest generation that has ended did so, counted from a given one. */
export async function latestEnd(storage: Storage, id: string, from = 0): Promise<GenerationEnd | undefined> {
  let latest: GenerationEnd | undefined;
  for (let generation = from; ; generation++) {
    const end = await endOf(storage, id, generation);
    if (end === undefined) return latest;
    latest = end;
  }
}

/** How this generation ended; undefined when it has not. */
export async function endOf(
  storage: Storage,
  id: string,
  generation: number,
): Promise<GenerationEnd | undefined> {
  try {
    const marker = await inspectMarker(storage, id, generation);
    return marker && { generation, marker };
  } catch (error) {
    if (error instanceof DamagedMarker) return { generation, damage: error.message };
    throw error;
  }
}

/** Whether the marker is that of this task, and not of another with the same id. */
export async function isEndOf(marker: TaskMarker, task: Task, functionsDir: string): Promise<boolean> {
  if (marker.fingerprint === '' || marker.fingerprint === task.fingerprint) return true;
  // It loads the filters, which is needed only where two tasks are not spelt alike.
  const { isSameTask } = await import('../worker/finish-task.ts');
  return await isSameTask(task, marker, functionsDir);
}
