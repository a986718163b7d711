/**
 * The end of a task, in the child: marker first, result second. The marker is written only where there is none, so it
 * decides between two tasks with one id, and between a task and its cancellation; whoever loses stores nothing.
 */
import { createHash } from 'node:crypto';
import { Rejection, Retryable } from '../errors.ts';
import type { Image } from '../filter.ts';
import { contentTypeOf } from '../image/formats.ts';
import { type Plan, planTask, type ResultFile } from '../image/pipeline.ts';
import type { StagedWrite } from '../storage/storage.ts';
import type { StepRecord } from '../task/hop.ts';
import type { Task } from '../task/task.ts';
import { fingerprintOf } from '../task/task.ts';
import {
  defaultOutputKey,
  outputOf,
  replaceMarker,
  resultStateOf,
  STORING_MS,
  type TaskMarker,
  writeMarker,
} from '../task/task-marker.ts';
import { isCarried } from './carry.ts';
import { failpoint } from './failpoint.ts';
import type { Job, ReplyImage, StandingMarker, StepResult } from './protocol.ts';
import type { StepResources } from './step-resources.ts';

/** A larger JSON result is only in the storage, not in the marker and the final event. */
const MAX_JSON_BYTES = 65_536;

/** Another copy of the task has promised the result that is missing. */
export class PromisedByAnother extends Retryable {}

type Ended = Extract<StepResult, { kind: 'ended' }>;

/**
 * What the marker that stands means for this job: an end that is told again. Or nothing, when the job has yet to store
 * the result that an earlier delivery of it has promised. A result that is long missing was taken away by its owner:
 * only repeats of the copy that may have promised it, which may come late, store it again.
 * @throws Rejection `task-id-reused`; Retryable while another copy is about to store the result
 */
export async function endFrom(
  job: Job,
  marker: TaskMarker,
  resources: StepResources,
): Promise<Ended | undefined> {
  const { storage, functionsDir } = resources;
  if (!(await isSameTask(job.task, marker, functionsDir))) throw idReused(job.task, marker);
  const state = marker.outcome === 'completed' ? await resultStateOf(storage, marker) : undefined;
  const isMissing = state === 'missing';
  if (isMissing) {
    const fromStep = marker.from_step ?? job.task.steps.length - 1;
    const mayBeMine = job.isRestart || (job.isRepeat && fromStep === job.fromStep);
    const mayBeOfEarlierHop = job.mayHavePromised === true && fromStep < job.fromStep;
    if ((job.hasNotPromised !== true && mayBeMine) || mayBeOfEarlierHop) return undefined;
    if (Date.now() - Date.parse(marker.time) < STORING_MS)
      throw new PromisedByAnother('Another copy of this task is about to store its result.', {
        failureType: 'storage',
      });
  }
  // What has taken its place may be anybody's.
  const image = job.wantsImage && state === 'stored' ? await storedImage(marker, resources) : undefined;
  return {
    kind: 'ended',
    marker,
    ...(image !== undefined && { image }),
    ...(isMissing && { isResultMissing: true }),
  };
}

/** What the last step has made. */
export interface FinalResult {
  plan: Plan;
  file: ResultFile;
  image: Image;
  workMs: number;
  /** The marker of an earlier delivery of this job, whose result is missing. */
  promised: TaskMarker | undefined;
}

/** Writes the marker, then gives the result its name. */
export async function finishTask(
  job: Job,
  { plan, file, image, workMs, promised }: FinalResult,
  resources: StepResources,
  signal: AbortSignal,
): Promise<{ kind: 'completed'; marker: TaskMarker; image?: ReplyImage } | Ended> {
  const { task } = job;
  const { storage } = resources;
  const key = task.output.key ?? defaultOutputKey(task.id, file.extension);
  assertNotRead(task.input, key, resources);
  const mine = { ...completion(job, key, file, image, workMs), meaning: meaningOf(task, plan) };
  failpoint('storing');
  // Both are written at once; only with the marker in place the result is seen.
  await using result = storage.stage(key, file.bytes, { contentType: file.contentType, signal });
  void result.ready.then(() => failpoint('staged'));
  const standing = promised ?? (await writeMarker(storage, mine));
  failpoint('marked');
  if (standing !== mine && standing !== promised) {
    const ended = await endFrom(job, standing, resources);
    if (ended !== undefined) return ended;
  }
  const marker = standing === mine ? mine : await keptPromise(standing, mine, resources);
  await commit(result);
  failpoint('stored');
  const wanted = job.wantsImage && { image: { bytes: file.bytes, contentType: file.contentType } };
  return { kind: 'completed', marker, ...wanted };
}

/** The storage will never take the result under its key: what the marker has promised cannot be kept by anybody. */
export class ResultRefused extends Rejection {}

/** @throws ResultRefused; Retryable */
async function commit(result: StagedWrite): Promise<void> {
  try {
    await result.commit();
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    throw new ResultRefused(error.message, { failureType: error.failureType, cause: error });
  }
}

/** Another version of a filter may make other bytes than were promised: then what is stored is what is said. */
async function keptPromise(
  promised: TaskMarker,
  mine: TaskMarker,
  { storage }: StepResources,
): Promise<TaskMarker> {
  if (outputOf(promised).sha256 === outputOf(mine).sha256) return promised;
  await replaceMarker(storage, mine);
  return mine;
}

/**
 * Ends a task that cannot succeed.
 * @param replace puts the marker in the place of one whose promise cannot be kept
 */
export async function markFailed(
  task: Task,
  marker: TaskMarker,
  replace: boolean,
  { storage, functionsDir }: StepResources,
): Promise<StandingMarker> {
  const mine = { ...marker, meaning: await plannedMeaning(task, functionsDir) };
  if (replace) await replaceMarker(storage, mine);
  const standing = replace ? mine : await writeMarker(storage, mine);
  const isSame = standing === mine || (await isSameTask(task, standing, functionsDir));
  const isMissing =
    isSame && standing.outcome === 'completed' && (await resultStateOf(storage, standing)) === 'missing';
  return { marker: standing, isSameTask: isSame, isStored: !isMissing };
}

/** @throws Rejection where the result would overwrite what a repeat of the task reads */
export function assertNotRead(read: string | undefined, outputKey: string, { inputs }: StepResources): void {
  if (read === undefined || inputs.keyOf(read) !== outputKey) return;
  throw new Rejection(
    `output.key: "${outputKey}" is read by the task itself, and a repeat would read the result; expected another key.`,
    { failureType: 'invalid-task' },
  );
}

export async function isSameTask(task: Task, marker: TaskMarker, functionsDir: string): Promise<boolean> {
  if (marker.fingerprint === '' || marker.fingerprint === task.fingerprint) return true;
  return marker.meaning !== undefined && marker.meaning === (await plannedMeaning(task, functionsDir));
}

/** The fingerprint with every default filled in; none where the image came inside the message. */
function meaningOf({ input, steps, output }: Task, plan: Plan): string | undefined {
  if (input === undefined) return undefined;
  const filled = plan.steps.map(({ params }, index) => [steps[index]!.filter, params]);
  return fingerprintOf([input, filled, plan.encoding, output.key]);
}

/** The same of a task that was not planned yet; none for one whose parameters cannot be read. */
async function plannedMeaning(task: Task, functionsDir: string): Promise<string | undefined> {
  return await planTask(task, functionsDir).then(
    (plan) => meaningOf(task, plan),
    () => undefined,
  );
}

function idReused(task: Task, marker: TaskMarker): Rejection {
  return new Rejection(
    `id: "${task.id}" belongs to another task, which ended (${marker.outcome}) at ${marker.time}; expected an id of its own.`,
    { failureType: 'task-id-reused' },
  );
}

function completion(job: Job, key: string, file: ResultFile, { source }: Image, workMs: number): TaskMarker {
  const { bytes, format, width, height, json } = file;
  const output = {
    key,
    format,
    bytes: bytes.length,
    ...(width !== undefined && { width, height }),
    sha256: createHash('sha256').update(bytes).digest('hex'),
    ...(json !== undefined && bytes.length <= MAX_JSON_BYTES && { json }),
  };
  const input = { format: source.format, width: source.width, height: source.height, bytes: source.bytes };
  const last: StepRecord = {
    filter: job.task.steps[job.step]!.filter,
    attempt: job.attempt,
    queue_ms: job.queueMs,
    work_ms: Math.round(workMs),
    ...(isCarried(job) && { carried: true }),
  };
  return {
    task_id: job.task.id,
    generation: job.generation,
    fingerprint: job.task.fingerprint,
    outcome: 'completed',
    time: new Date().toISOString(),
    from_step: job.fromStep,
    data: { ...job.about, steps: [...job.history, last], input, output },
  };
}

async function storedImage(marker: TaskMarker, { storage }: StepResources): Promise<ReplyImage | undefined> {
  const { key, format } = outputOf(marker);
  if (key === undefined) return undefined;
  const contentType = contentTypeOf(format);
  return { bytes: await storage.read(key), contentType };
}
