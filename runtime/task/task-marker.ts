/**
 * Where a task's own files lie, and the marker that says how it ended. A generation of a task ends once: whoever writes
 * the marker first decides, and everything that comes later finds it and changes nothing.
 *
 * A marker is written before the result that it promises, so that only the winner of two tasks with one id stores
 * anything, and a cancelled task stores nothing. A worker that dies in between leaves a marker whose result is not
 * there; the repeat of its delivery finds that and stores it.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { Rejection } from '../errors.ts';
import { RUNTIME_FOLDER } from '../storage/keys.ts';
import type { Storage } from '../storage/storage.ts';
import { faultOfShape } from './shape.ts';
import type { Task } from './task.ts';

export const ENDED_FOLDER = `${RUNTIME_FOLDER}/ended`;
export const TASKS_FOLDER = `${RUNTIME_FOLDER}/tasks`;
const MAX_MARKER_BYTES = 1_048_576;
/** So long after its marker, a result may still be on its way: another copy of the task waits for it. */
export const STORING_MS = 600_000;
/** Clocks of one storage tell seconds, and not to the same tick for two objects. */
const SAME_MOMENT_MS = 2_000;

export interface TaskMarker {
  task_id: string;
  generation: number;
  /** Of the task as it was written; empty for one that was cancelled before any worker had it. */
  fingerprint: string;
  /** Of the task with all defaults filled in, where its parameters could be read. */
  meaning?: string;
  outcome: 'completed' | 'failed' | 'cancelled';
  /** ISO 8601. */
  time: string;
  /** With which step the delivery began whose worker wrote this; absent: with the last one. */
  from_step?: number | undefined;
  /** What the final event says. */
  data: Record<string, unknown>;
}

/** A marker that is there but cannot be read: cut off, altered, or not a marker at all. */
export class DamagedMarker extends Error {
  override readonly name = 'DamagedMarker';
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

/** What the keys of a task's intermediates are made of. */
export type IntermediatesOwner = Pick<Task, 'id' | 'fingerprint' | 'steps'>;

/** Where a step leaves its image for the next: the same for every repeat, so that a repeat is harmless. */
export function intermediateKey(task: Pick<Task, 'id' | 'fingerprint'>, step: number): string {
  const content = createHash('sha256').update(task.fingerprint).digest('hex').slice(0, 12);
  return `${intermediatesFolder(task.id)}/${content}-step-${step}`;
}

/** What is known of a task that waits or is under way; see `cli/submission-record.ts`. */
export function submissionKey(id: string): string {
  return `${intermediatesFolder(id)}/submitted.json`;
}

/** Removes what an ended task leaves: its own images, and where that costs nothing, those of others with its id. */
export async function removeIntermediates(storage: Storage, task: IntermediatesOwner): Promise<void> {
  const images = task.steps.slice(1).map((_, step) => intermediateKey(task, step));
  await storage.removeAll(intermediatesFolder(task.id), [...images, submissionKey(task.id)]);
}

/** Where the result of a task goes that does not say; the ending follows from the format. */
export function defaultOutputKey(id: string, extension: string): string {
  return `out/${pathName(id)}.${extension}`;
}

/** How the task ended, or undefined while it has not. @throws DamagedMarker */
export async function inspectMarker(
  storage: Storage,
  id: string,
  generation: number,
): Promise<TaskMarker | undefined> {
  const bytes = await findMarker(storage, id, generation);
  return bytes && parseMarker(bytes.toString('utf8'), id, generation);
}

async function findMarker(storage: Storage, id: string, generation: number): Promise<Buffer | undefined> {
  try {
    return await storage.find(markerKey(id, generation), { maxBytes: MAX_MARKER_BYTES });
  } catch (error) {
    // Larger than any marker, or no file at all.
    if (!(error instanceof Rejection)) throw error;
    throw new DamagedMarker(`The marker of "${id}" cannot be one: ${error.message}`, { cause: error });
  }
}

/** The same, but a damaged marker counts as none: the work is done again, and the marker written anew. */
export async function readMarker(
  storage: Storage,
  id: string,
  generation: number,
): Promise<TaskMarker | undefined> {
  try {
    return await inspectMarker(storage, id, generation);
  } catch (error) {
    if (error instanceof DamagedMarker) return undefined;
    throw error;
  }
}

/** Ends the task unless it has ended. @returns the marker that stands: this one, or the earlier one. */
export async function writeMarker(storage: Storage, marker: TaskMarker): Promise<TaskMarker> {
  const bytes = encodeMarker(marker);
  const key = markerKey(marker.task_id, marker.generation);
  const options = { contentType: 'application/json', mayTear: true };
  if (await storage.write(key, bytes, { ...options, ifAbsent: true })) return marker;
  const standing = await readMarker(storage, marker.task_id, marker.generation);
  // An answer of the storage that was lost on its way: what is there was written by this very call.
  const mine = parseMarker(bytes.toString('utf8'), marker.task_id, marker.generation);
  if (isDeepStrictEqual(standing, mine)) return marker;
  if (standing !== undefined) return standing;
  await storage.write(key, bytes, options);
  return marker;
}

/** Puts the marker in the place of one that promised what cannot be kept. */
export async function replaceMarker(storage: Storage, marker: TaskMarker): Promise<void> {
  const key = markerKey(marker.task_id, marker.generation);
  await storage.write(key, encodeMarker(marker), { contentType: 'application/json' });
}

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
  const { key, bytes, sha256: promised } = outputOf(marker);
  if (key === undefined) return 'stored';
  const found = await storage.find(key, { maxBytes: bytes }).catch(noneIfLarger);
  if (found !== undefined && sha256(found) === promised) return 'stored';
  const [there, marked] = await Promise.all([
    storage.stat(key),
    storage.stat(markerKey(marker.task_id, marker.generation)),
  ]);
  const isNewer =
    there !== undefined &&
    marked !== undefined &&
    there.modified.getTime() > marked.modified.getTime() + SAME_MOMENT_MS;
  return isNewer ? 'replaced' : 'missing';
}

/** Larger than the result, so that it is not it. */
function noneIfLarger(error: unknown): undefined {
  if (!(error instanceof Rejection && error.failureType === 'limit-exceeded')) throw error;
}

/** No path name has a `~` but at its front, so that no two tasks and generations share a key. */
export function markerKey(id: string, generation: number): string {
  const name = pathName(id);
  const shard = createHash('sha256').update(name).digest('hex').slice(0, 2);
  return `${ENDED_FOLDER}/${shard}/${name}${generation === 0 ? '' : `~${generation}`}.json`;
}

const MAX_DEPTH = 50;
const MAX_VALUES = 200_000;
const markerSchema = z.object({
  task_id: z.string(),
  generation: z.int().min(0),
  fingerprint: z.string(),
  meaning: z.string().optional(),
  outcome: z.enum(['completed', 'failed', 'cancelled']),
  time: z.string(),
  from_step: z.int().min(0).optional(),
  data: z.record(z.string(), z.unknown()),
}) as z.ZodType<TaskMarker>;
const CHECKSUM = /,"checksum":"([0-9a-f]{64})"\}\s*$/;

function encodeMarker(marker: TaskMarker): Buffer {
  const json = JSON.stringify(marker);
  return Buffer.from(`${json.slice(0, -1)},"checksum":"${sha256(json)}"}\n`);
}

function parseMarker(text: string, id: string, generation: number): TaskMarker {
  const match = CHECKSUM.exec(text);
  if (match === null)
    throw new DamagedMarker(`The marker of "${id}" is cut off or was not written by Darkroom.`);
  const json = `${text.slice(0, match.index)}}`;
  if (sha256(json) !== match[1]) throw new DamagedMarker(`The marker of "${id}" was altered.`);
  const marker = readShape(json);
  if (marker === undefined) throw new DamagedMarker(`The marker of "${id}" was not written by Darkroom.`);
  if (marker.task_id === id && marker.generation === generation) return marker;
  throw new DamagedMarker(`The marker of "${id}" belongs to another task.`);
}

/** The checksum finds accidents; it stops nobody who writes into the storage. */
function readShape(json: string): TaskMarker | undefined {
  try {
    const marker: TaskMarker = markerSchema.parse(JSON.parse(json));
    return faultOfShape(marker.data, MAX_DEPTH, MAX_VALUES) === undefined ? marker : undefined;
  } catch {
    return undefined;
  }
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
