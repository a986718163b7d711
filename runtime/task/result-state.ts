/** Whether the result that a completed task's marker promises is there. */
import { createHash } from 'node:crypto';
import { ObjectNotFound, type Storage } from '../storage/storage.ts';
import { markerKey, type TaskMarker } from './task-marker.ts';

/** Clocks of one storage tell seconds, and not to the same tick for two objects. */
const SAME_MOMENT_MS = 2_000;

/**
 * `stored`: it is there. `replaced`: something newer has taken its place. `missing`: it was not stored yet, or it was
 * removed since.
 */
export type ResultState = 'stored' | 'replaced' | 'missing';

/** What a completed marker says of its result. */
export function outputOf(marker: TaskMarker): {
  key?: string;
  bytes?: number;
  sha256?: string;
  format?: string;
} {
  const { output } = marker.data;
  return typeof output === 'object' && output !== null ? output : {};
}

export async function resultStateOf(storage: Storage, marker: TaskMarker): Promise<ResultState> {
  const { key, bytes, sha256 } = outputOf(marker);
  if (key === undefined) return 'stored';
  const found = await storage.stat(key);
  if (found === undefined) return 'missing';
  if (found.bytes === bytes && (await sha256Of(storage, key)) === sha256) return 'stored';
  const marked = await storage.stat(markerKey(marker.task_id, marker.generation));
  const isNewer =
    marked !== undefined && found.modified.getTime() > marked.modified.getTime() + SAME_MOMENT_MS;
  return isNewer ? 'replaced' : 'missing';
}

async function sha256Of(storage: Storage, key: string): Promise<string | undefined> {
  try {
    return createHash('sha256')
      .update(await storage.read(key))
      .digest('hex');
  } catch (error) {
    if (error instanceof ObjectNotFound) return undefined;
    throw error;
  }
}
