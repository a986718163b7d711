/** The record that a published task leaves in the storage: while the task runs, it says which steps there are. */
import type { Storage } from '../storage/storage.ts';
import type { Step } from '../task/task.ts';
import { intermediatesFolder } from '../task/task-marker.ts';

interface SubmissionRecord {
  /** ISO 8601. */
  time: string;
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

export async function writeSubmissionRecord(storage: Storage, id: string, steps: Step[]): Promise<void> {
  const record: SubmissionRecord = { time: new Date().toISOString(), steps };
  await storage.write(recordKey(id), Buffer.from(JSON.stringify(record)), {
    contentType: 'application/json',
  });
}

/** Where a task that has not ended stands; undefined when nothing is known of it. */
export async function currentStep(storage: Storage, id: string): Promise<CurrentStep | undefined> {
  if ((await storage.stat(recordKey(id))) === undefined) return undefined;
  const record = JSON.parse((await storage.read(recordKey(id))).toString('utf8')) as SubmissionRecord;
  let step = 0;
  let since = record.time;
  for await (const { key, modified } of storage.list(intermediatesFolder(id))) {
    const done = Number(/-step-(\d+)$/.exec(key)?.[1] ?? -1) + 1;
    if (done > step) [step, since] = [done, modified.toISOString()];
  }
  const filter = record.steps[Math.min(step, record.steps.length - 1)]!.filter;
  return { step, steps: record.steps, filter, since };
}

/** Inside the folder that is removed when the task ends. */
function recordKey(id: string): string {
  return `${intermediatesFolder(id)}/submitted.json`;
}
