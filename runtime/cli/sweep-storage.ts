/** Removes old markers and abandoned intermediates from a storage, object by object. */
import { asError } from '../errors.ts';
import { redactText } from '../redact.ts';
import type { ListedObject, Storage } from '../storage/storage.ts';
import { ENDED_FOLDER, TASKS_FOLDER } from '../task/task-marker.ts';

export interface SweepResult {
  /** How many objects. */
  removed: number;
  /** The objects and folders that stay, with the reason. */
  failed: { key: string; why: string }[];
}

export async function sweepStorage(
  storage: Storage,
  olderThanMs: number,
  nowMs = Date.now(),
): Promise<SweepResult> {
  const result: SweepResult = { removed: 0, failed: [] };
  const isOld = ({ modified }: ListedObject) => nowMs - modified.getTime() >= olderThanMs;
  for (const folder of [ENDED_FOLDER, TASKS_FOLDER]) {
    try {
      for await (const objects of byFolder(storage.list(folder))) {
        const needed = new Set(objects.filter((object) => !isOld(object)).map(taskOfMarker));
        for (const object of objects)
          if (isOld(object) && !needed.has(taskOfMarker(object))) await remove(storage, object.key, result);
      }
    } catch (thrown) {
      result.failed.push({ key: folder, why: `it cannot be listed to its end: ${wordsOf(thrown)}` });
    }
  }
  return result;
}

/** What lies in one folder comes in a row. */
async function* byFolder(objects: AsyncIterable<ListedObject>): AsyncGenerator<ListedObject[]> {
  let inside: ListedObject[] = [];
  const folderOf = ({ key }: ListedObject) => key.slice(0, key.lastIndexOf('/'));
  for await (const object of objects) {
    if (inside[0] !== undefined && folderOf(inside[0]) !== folderOf(object)) {
      yield inside;
      inside = [];
    }
    inside.push(object);
  }
  yield inside;
}

/** Earlier generations of a task go with its last: whoever looks for that begins at the first. */
function taskOfMarker({ key }: ListedObject): string {
  return key.replace(/(?<=[^/])(?:~\d+)?\.json$/, '');
}

async function remove(storage: Storage, key: string, result: SweepResult): Promise<void> {
  try {
    await storage.remove(key);
    result.removed++;
  } catch (thrown) {
    result.failed.push({ key, why: wordsOf(thrown) });
  }
}

function wordsOf(thrown: unknown): string {
  return redactText(asError(thrown).message);
}
