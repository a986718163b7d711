/**
 * Where a task's own files lie, and the marker that says how it ended. A task ends once: whoever writes the
 * marker first decides, and everything that comes later finds it and changes nothing.
 */
import { createHash } from 'node:crypto';
import { RUNTIME_FOLDER } from '../storage/keys.ts';
import type { Storage } from '../storage/storage.ts';
import type { Task } from './task.ts';

const ENDED_FOLDER = `${RUNTIME_FOLDER}/ended`;
export const TASKS_FOLDER = `${RUNTIME_FOLDER}/tasks`;
const MAX_MARKER_BYTES = 16 * 1_048_576;

export interface TaskMarker {
  task_id: string;
  generation: number;
  fingerprint: string;
  outcome: 'completed' | 'failed' | 'cancelled';
  /** ISO 8601. */
  time: string;
  /** What the final event says. */
  data: Record<string, unknown>;
}

/** A task's id as one path segment: itself where that is safe everywhere, else its hash. */
export function pathName(id: string): string {
  // Lower case only: file systems that fold case must not mix up two tasks.
  if (/^[a-z0-9](?:[a-z0-9_-]|\.(?=[a-z0-9_-])){0,99}$/.test(id)) return id;
  return `~${createHash('sha256').update(id).digest('hex').slice(0, 40)}`;
}

/** The folder of everything a task leaves between its steps. */
export function intermediatesFolder(id: string): string {
  return `${TASKS_FOLDER}/${pathName(id)}`;
}

/** Where a step leaves its image for the next: the same for every repeat, so that a repeat is harmless. */
export function intermediateKey(task: Pick<Task, 'id' | 'fingerprint'>, step: number): string {
  const content = createHash('sha256').update(task.fingerprint).digest('hex').slice(0, 12);
  return `${intermediatesFolder(task.id)}/${content}-step-${step}`;
}

/** How the task ended, or undefined while it has not. */
export async function readMarker(
  storage: Storage,
  id: string,
  generation: number,
): Promise<TaskMarker | undefined> {
  const key = endedKey(id, generation);
  if ((await storage.stat(key)) === undefined) return undefined;
  return JSON.parse((await storage.read(key, { maxBytes: MAX_MARKER_BYTES })).toString('utf8')) as TaskMarker;
}

/** Ends the task unless it has ended. @returns the marker that stands: this one, or the earlier one. */
export async function writeMarker(storage: Storage, ended: TaskMarker): Promise<TaskMarker> {
  const bytes = Buffer.from(JSON.stringify(ended));
  const key = endedKey(ended.task_id, ended.generation);
  const written = await storage.write(key, bytes, { contentType: 'application/json', ifAbsent: true });
  return written ? ended : ((await readMarker(storage, ended.task_id, ended.generation)) ?? ended);
}

/** The state after the newest replay. */
export async function readLatestMarker(storage: Storage, id: string): Promise<TaskMarker | undefined> {
  let latest: TaskMarker | undefined;
  for (let generation = 0; ; generation++) {
    const ended = await readMarker(storage, id, generation);
    if (ended === undefined) return latest;
    latest = ended;
  }
}

/**
 * Removes markers and abandoned intermediates older than `olderThanMs`.
 * @returns how many objects were removed
 */
export async function sweep(storage: Storage, olderThanMs: number, nowMs = Date.now()): Promise<number> {
  let removed = 0;
  for (const folder of [ENDED_FOLDER, TASKS_FOLDER]) {
    for await (const { key, modified } of storage.list(folder)) {
      if (nowMs - modified.getTime() < olderThanMs) continue;
      await storage.remove(key);
      removed++;
    }
  }
  return removed;
}

function endedKey(id: string, generation: number): string {
  const name = pathName(id);
  const shard = createHash('sha256').update(name).digest('hex').slice(0, 2);
  return `${ENDED_FOLDER}/${shard}/${name}${generation === 0 ? '' : `.${generation}`}.json`;
}
