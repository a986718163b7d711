/**
 * Looks, time and again, whether a task has ended, and judges what it finds. A marker comes before the result that it
 * promises, and either may be damaged: none of that may make anybody wait for ever.
 */
import type { Storage } from '../storage/storage.ts';
import type { Task } from '../task/task.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import { resultStanding } from './task-result.ts';
import { isEndOf, latestEnd } from './task-standing.ts';

export interface SubmittedTask {
  id: string;
  photo: string;
  input: string;
  bytes: number | null;
  /** As workers read it: tells it from another with the same id. */
  task: Task;
}

export interface TaskOutcome extends Omit<SubmittedTask, 'task'> {
  outcome: TaskMarker['outcome'];
  /** What the final event says. */
  data: Record<string, unknown>;
}

/** A result follows its marker within a moment, unless its worker died in between. */
const RESULT_WAIT_MS = 15_000;
/** A worker that has the task writes the marker anew; one that has told its end is done with it. */
const DAMAGE_WAIT_MS = 5_000;

export class EndWatch {
  readonly #storage: Storage;
  readonly #submitted: SubmittedTask;
  readonly #functionsDir: string;
  readonly #onWaiting: (reason: string) => void;
  #isFirstLook = true;
  #wasDamagedBefore = false;
  #isTold = false;
  /** Since when the result, or a marker that can be read, is missing although the task has ended. */
  #missingSinceMs: number | undefined;

  constructor(
    storage: Storage,
    submitted: SubmittedTask,
    functionsDir: string,
    onWaiting: (reason: string) => void,
  ) {
    this.#storage = storage;
    this.#submitted = submitted;
    this.#functionsDir = functionsDir;
    this.#onWaiting = onWaiting;
  }

  /** A reply says that the task has ended. */
  tell(): void {
    this.#isTold = true;
  }

  get isTold(): boolean {
    return this.#isTold;
  }

  /** @returns undefined while the task has not ended */
  async look(): Promise<TaskOutcome | undefined> {
    const end = await latestEnd(this.#storage, this.#submitted.id);
    if (this.#isFirstLook) this.#wasDamagedBefore = end?.damage !== undefined;
    this.#isFirstLook = false;
    if (end === undefined) return undefined;
    return end.damage === undefined ? await this.#judge(end.marker) : this.#judgeDamage(end.damage);
  }

  async #judge(marker: TaskMarker): Promise<TaskOutcome | undefined> {
    const { id, task } = this.#submitted;
    const { outcome, data, time } = marker;
    if (!(await isEndOf(marker, task, this.#functionsDir))) {
      const reason = `The id ${JSON.stringify(id)} belongs to another task, which ended (${outcome}) at ${time}; expected an id of its own.`;
      return this.#outcome('failed', { failure_type: 'task-id-reused', failure_reason: reason });
    }
    const isMissing = outcome === 'completed' && (await resultStanding(this.#storage, marker)) === 'storing';
    if (!isMissing || this.#hasMissedFor(RESULT_WAIT_MS)) return this.#outcome(outcome, data);
    this.#onWaiting('its result is about to be stored');
    return undefined;
  }

  /** A marker that was damaged before says nothing of this task: a worker is yet to write it anew. */
  #judgeDamage(damage: string): TaskOutcome | undefined {
    this.#onWaiting(`${damage} The work is done again when a worker takes the task.`);
    if (this.#wasDamagedBefore && !this.#isTold) return undefined;
    if (!this.#hasMissedFor(DAMAGE_WAIT_MS)) return undefined;
    const reason = `${damage} How the task ended cannot be said; published once more, its work is done again.`;
    return this.#outcome('failed', { failure_type: 'storage', failure_reason: reason });
  }

  #hasMissedFor(ms: number): boolean {
    this.#missingSinceMs ??= performance.now();
    return performance.now() - this.#missingSinceMs >= ms;
  }

  #outcome(outcome: TaskOutcome['outcome'], data: Record<string, unknown>): TaskOutcome {
    const { task: _, ...shown } = this.#submitted;
    return { ...shown, outcome, data };
  }
}
