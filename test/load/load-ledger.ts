/** A load test's ledger: what was submitted, what its tasks' events tell, and the account of it at the end. */

import { Ledger, type LedgerEntry, type LetterReason, repeatsOf } from '../support/ledger.ts';
import type { TaskEventMessage } from '../support/task-events.ts';

/** One stay of a task in one queue. Times are milliseconds since 1970. */
export interface QueueVisit {
  task: string;
  /** Index in the task's steps of the first that was done there. */
  step: number;
  filter: string;
  arrivedMs: number;
  /** How long it waited until a worker took it; NaN when nobody said. */
  waitMs: number;
  /** Of that step and those carried after it. */
  workMs: number;
}

/** When a worker began a step, as its event says. */
export interface StepStart {
  worker: string;
  task: string;
  step: number;
  filter: string;
  atMs: number;
}

export interface LedgerCounts {
  submitted: number;
  completed: number;
  failed: number;
  cancelled: number;
  open: number;
  /** Steps that will be tried again. */
  retries: number;
  /** Final events that came more than once: harmless, and counted. */
  repeats: number;
  /** Tasks told to have both completed and failed. */
  contradictions: number;
  /** Ends of tasks that lay in the queues before, or that others sent. */
  others: number;
}

export const EVENT_KEYS = ['task.started', 'task.retrying', 'task.completed', 'task.failed'];

export class LoadLedger extends Ledger {
  readonly starts: StepStart[] = [];
  readonly #seenEvents = new Set<string>();
  #retries = 0;
  #others = 0;

  take({ key, id, subject, time, data }: TaskEventMessage, receivedMs: number): void {
    const isFinal = key === 'task.completed' || key === 'task.failed';
    if (!this.entries.has(subject)) {
      if (isFinal) this.#others++;
      return;
    }
    if (isFinal) return this.end(subject, data, false, receivedMs);
    // The broker may give an event again.
    if (this.#seenEvents.has(id)) return;
    this.#seenEvents.add(id);
    if (key === 'task.retrying') this.#retries++;
    if (key === 'task.started') {
      const [worker, filter] = [String(data.worker), String(data.filter)];
      this.starts.push({ worker, task: subject, step: Number(data.step), filter, atMs: Date.parse(time) });
    }
  }

  /** The dead letter queue holds those of others too. */
  override letter(id: string, letter: LetterReason): void {
    if (this.entries.has(id)) super.letter(id, letter);
  }

  get counts(): LedgerCounts {
    const counts = { completed: 0, failed: 0, cancelled: 0, repeats: 0, contradictions: 0 };
    for (const entry of this.entries.values()) {
      if (entry.ending === undefined) continue;
      counts[entry.ending]++;
      counts.repeats += repeatsOf(entry);
      const { completed, failed, cancelled } = entry.told;
      const told = [completed, failed + entry.letters.length, cancelled];
      if (told.filter((count) => count > 0).length > 1) counts.contradictions++;
    }
    const { submitted, open } = this;
    return { submitted, open, ...counts, retries: this.#retries, others: this.#others };
  }
}

/** Every stay in a queue of every task: those of ended tasks, and the first of tasks that are still open. */
export function visitsOf(entries: Iterable<LedgerEntry>): QueueVisit[] {
  const visits: QueueVisit[] = [];
  for (const { id: task, filter, submittedMs, steps } of entries) {
    let arrivedMs = submittedMs;
    for (const [step, { filter: by, queue_ms: queueMs, work_ms: workMs, carried }] of steps.entries()) {
      const before = visits.at(-1);
      if (carried === true && before?.task === task) before.workMs += workMs;
      else visits.push({ task, step, filter: by, arrivedMs, waitMs: queueMs ?? Number.NaN, workMs });
      arrivedMs += (queueMs ?? 0) + workMs;
    }
    if (steps.length === 0)
      visits.push({ task, step: 0, filter, arrivedMs, waitMs: Number.NaN, workMs: Number.NaN });
  }
  return visits.sort((a, b) => a.arrivedMs - b.arrivedMs);
}

export interface LoadAccount extends LedgerCounts {
  /** Still in a queue or in work when the run ended. */
  unfinished: number;
  /** Neither ended nor anywhere to be found, or said to be completed without a result in the storage. */
  lost: number;
  /** Completed tasks whose result is not in the storage; they are among the lost. */
  withoutResult: number;
}

/** @param inQueues messages that the queues hold at the end, waiting or in work, without those of others */
export function accountOf(counts: LedgerCounts, inQueues: number, withoutResult: number): LoadAccount {
  const unfinished = Math.min(counts.open, Math.max(0, inQueues));
  return { ...counts, unfinished, withoutResult, lost: counts.open - unfinished + withoutResult };
}

export function nothingEnded({ completed, failed, cancelled }: LedgerCounts): boolean {
  return completed + failed + cancelled === 0;
}
