/** The result that a completed task's marker tells of. It is written after the marker, so it may not be there yet. */
import { Rejection } from '../errors.ts';
import type { Storage } from '../storage/storage.ts';
import { type ResultState, resultStateOf, STORING_MS, type TaskMarker } from '../task/task-marker.ts';

/** What a completed task's final event says of its result. */
export interface TaskResult {
  key: string;
  format: string;
  bytes: number;
  width?: number;
  height?: number;
  json?: unknown;
}

/** Undefined where the event says nothing that could be one. */
export function resultOf({ data }: { data: Record<string, unknown> }): TaskResult | undefined {
  const { output } = data;
  if (typeof output !== 'object' || output === null) return undefined;
  const { key, format, bytes } = output as Record<string, unknown>;
  const isResult = typeof key === 'string' && typeof format === 'string' && typeof bytes === 'number';
  return isResult ? (output as TaskResult) : undefined;
}

export async function resultStanding(storage: Storage, marker: TaskMarker): Promise<ResultState | 'storing'> {
  const state = await stateOf(storage, marker);
  const isYoung = Date.now() - Date.parse(marker.time) < STORING_MS;
  return state === 'missing' && isYoung ? 'storing' : state;
}

async function stateOf(storage: Storage, marker: TaskMarker): Promise<ResultState> {
  try {
    return await resultStateOf(storage, marker);
  } catch (error) {
    // The marker names what cannot be a key.
    if (error instanceof Rejection) return 'missing';
    throw error;
  }
}
