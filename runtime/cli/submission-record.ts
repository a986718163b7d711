/** The record that whoever publishes or replays a task leaves in the storage: which run of it is under way, and its steps. */
import { z } from 'zod';
import { Retryable } from '../errors.ts';
import type { ObjectStat, Storage } from '../storage/storage.ts';
import { MAX_STEPS, type Step } from '../task/task.ts';
import { intermediatesFolder, submissionKey } from '../task/task-marker.ts';

export interface SubmissionRecord {
  /** ISO 8601. */
  time: string;
  /** 0 as published; a replay raises it. */
  generation: number;
  steps: Step[];
}

/** The step that a task waits for or is in. */
export interface CurrentStep {
  /** Counted from 0. */
  step: number;
  steps: Step[];
  filter: string;
  /** When the step before it was done, or the task was published; ISO 8601. */
  since: string;
}

const MAX_RECORD_BYTES = 2_097_152;
const recordSchema = z.object({
  time: z.string().refine((time) => !Number.isNaN(Date.parse(time))),
  generation: z.int().min(0).default(0),
  steps: z
    .array(
      z.object({
        filter: z.string().min(1).max(200),
        params: z.record(z.string(), z.unknown()).default({}),
      }),
    )
    .min(1)
    .max(MAX_STEPS),
});

/** A task that is published once more leaves the record of its replay. */
export async function writeSubmissionRecord(
  storage: Storage,
  id: string,
  steps: Step[],
  generation = 0,
): Promise<void> {
  const record: SubmissionRecord = { time: new Date().toISOString(), generation, steps };
  const bytes = Buffer.from(JSON.stringify(record));
  const options = { contentType: 'application/json' };
  if (await storage.write(submissionKey(id), bytes, { ...options, ifAbsent: generation === 0 })) return;
  const earlier = await readSubmissionRecord(storage, id);
  const isOfReplay = earlier !== undefined && earlier !== 'damaged' && earlier.generation > 0;
  if (!isOfReplay) await storage.write(submissionKey(id), bytes, options);
}

export async function readSubmissionRecord(
  storage: Storage,
  id: string,
): Promise<SubmissionRecord | 'damaged' | undefined> {
  try {
    const bytes = await storage.find(submissionKey(id), { maxBytes: MAX_RECORD_BYTES });
    return bytes && recordSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    if (error instanceof Retryable) throw error;
    return 'damaged';
  }
}

/** The last step of which an image lies in the storage, and when it came there; undefined when there is none. */
export async function lastStepDone(
  storage: Storage,
  id: string,
): Promise<{ step: number; since: string } | undefined> {
  let last: { step: number; modified: ObjectStat['modified'] } | undefined;
  for await (const { key, modified } of storage.list(intermediatesFolder(id))) {
    const [, number] = /-step-(\d{1,2})$/.exec(key) ?? [];
    if (number !== undefined && Number(number) >= (last?.step ?? 0))
      last = { step: Number(number), modified };
  }
  return last && { step: last.step, since: last.modified.toISOString() };
}

/** Where a task stands that has not ended. */
export async function currentStep(
  storage: Storage,
  id: string,
  { steps, time }: SubmissionRecord,
): Promise<CurrentStep> {
  const done = await lastStepDone(storage, id);
  const step = Math.min(done === undefined ? 0 : done.step + 1, steps.length - 1);
  return { step, steps, filter: steps[step]!.filter, since: done?.since ?? time };
}

/** For a task that was not sent after all. */
export async function removeSubmissionRecord(storage: Storage, id: string): Promise<void> {
  await storage.remove(submissionKey(id));
}
