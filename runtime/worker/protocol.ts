/** What a slot and its child process say to each other. */
import type { FailureType } from '../errors.ts';
import type { StepRecord } from '../task/hop.ts';
import type { Task } from '../task/task.ts';
import type { IntermediatesOwner, TaskMarker } from '../task/task-marker.ts';
import type { CarryMode } from './carry.ts';

/** One step to run. */
export interface Job {
  task: Task;
  step: number;
  /** With which step the delivery began: an earlier one when this one is carried. */
  fromStep: number;
  /** When to go on with the next step in the same process. */
  carry: CarryMode;
  generation: number;
  /** Tries of this step that failed so far. */
  attempt: number;
  /** An earlier delivery of this very message, or an earlier try, may have done some of the work. */
  isRepeat: boolean;
  /** The task was started again: what its steps left is not to be trusted. */
  isRestart: boolean;
  /** An earlier hop of the task may have promised a result, and not stored it. */
  mayHavePromised?: boolean;
  /** Only another copy of the task can have written a marker that promises a result. */
  hasNotPromised?: boolean;
  /** The image, when it came inside the message and this is the first step. */
  image?: Buffer;
  /** Whether the final image itself is wanted back, for a reply. */
  wantsImage: boolean;
  /** Since when the input has been waited for, epoch ms; null when this is the first look. */
  waitingSinceMs: number | null;
  /** The steps before this one, for the final event. */
  history: StepRecord[];
  /** How long this step waited in its queue; null when unknown. */
  queueMs: number | null;
  /** What the final event says beside the result and the steps. */
  about: Record<string, unknown>;
}

/** Milliseconds of the step's parts. */
export interface Timings {
  fetch: number;
  decode: number;
  filter: number;
  encode: number;
  store: number;
}

interface Measured {
  timings: Timings;
  bytesIn: number;
  bytesOut: number;
}

export type StepResult =
  /** An intermediate is stored; `repeated` when an earlier delivery had done so. */
  | ({ kind: 'stepped'; repeated: boolean } & Measured)
  /** The image waits in the child's memory for the next step. `mustFinish`: a result was promised by this delivery. */
  | ({ kind: 'carried'; mustFinish: boolean } & Measured)
  /** The task has ended now; `image` when it was wanted. */
  | ({ kind: 'completed'; marker: TaskMarker; image?: ReplyImage } & Measured)
  /** The task had ended before: by an earlier copy, or because it was cancelled (`abandoned`: during the work). */
  | {
      kind: 'ended';
      marker: TaskMarker;
      image?: ReplyImage;
      abandoned?: boolean;
      /** The result is not in the storage (any more); whoever has yet to store it needs what its steps left. */
      isResultMissing?: boolean;
    }
  /** The previous step's image is gone or damaged although the task has not ended: start it again. */
  | { kind: 'restart' }
  | StepFailure;

export interface StepFailure {
  kind: 'failed';
  consequence: 'reject' | 'retry';
  failureType: FailureType;
  message: string;
  /** The try ended before it promised a result. */
  hasNotPromised?: boolean;
  /** The storage will never take the result that the marker has promised. */
  isResultRefused?: boolean;
  stack?: string;
}

/** The marker that stands once a failed task was marked. */
export interface StandingMarker {
  marker: TaskMarker;
  /** False: the id belongs to another task. */
  isSameTask: boolean;
  /** False: the task was completed, but the result that the marker promises is not stored. */
  isStored: boolean;
}

export interface ReplyImage {
  bytes: Buffer;
  contentType: string;
}

export type Request =
  | { type: 'run'; seq: number; job: Job }
  /** Store the image that waits after the job's step, for another worker. */
  | { type: 'leave'; seq: number; job: Job }
  /** Write the marker of a failed task. */
  | { type: 'mark'; seq: number; task: Task; marker: TaskMarker; replace: boolean }
  /** Remove what an ended task left between its steps. */
  | { type: 'clean'; seq: number; task: IntermediatesOwner };

export type Response =
  | { type: 'ready' }
  /** It cannot start, and trying again would not help: a mistake in the configuration or in a filter's file. */
  | { type: 'broken'; message: string }
  | { type: 'ran'; seq: number; result: StepResult; rssBytes: number }
  | { type: 'marked'; seq: number; standing: StandingMarker }
  | { type: 'cleaned'; seq: number }
  | { type: 'error'; seq: number; message: string };
