/**
 * What was submitted against what became of it, kept outside the system under test. A task that has neither ended
 * nor is still in a queue or in work is lost.
 */
import type { StepRecord } from '../../runtime/task/hop.ts';

/** One stay of a task in one queue. Times are milliseconds since 1970. */
export interface Visit {
  task: string;
  /** Index in the task's steps. */
  step: number;
  filter: string;
  arrivedMs: number;
  /** How long it waited until a worker took it; NaN when nobody said. */
  waitMs: number;
  workMs: number;
}

export interface Entry {
  id: string;
  /** The first step's filter. */
  filter: string;
  submittedMs: number;
  /** When the final event reached us. */
  endedMs: number | undefined;
  outcome: 'completed' | 'failed' | 'cancelled' | undefined;
  failure: { type: string; reason: string } | undefined;
  steps: StepRecord[];
}

/** A task event as the broker delivers it. */
export interface LoadEvent {
  key: string;
  /** CloudEvents' id: the same for a repeat. */
  id: string;
  subject: string;
  time: string;
  data: Record<string, unknown>;
}

/** When a worker began a step, as its event says. */
export interface Start {
  worker: string;
  task: string;
  step: number;
  filter: string;
  atMs: number;
}

export interface Counts {
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

export interface Ledger {
  submit(id: string, filter: string, atMs: number): void;
  /** The broker refused it for good: it was never in a queue. */
  withdraw(id: string): void;
  event(event: LoadEvent, receivedMs: number): void;
  /** A letter in the dead letter queue ends a task of which no event tells. */
  deadLetter(id: string, failure: { type: string; reason: string }): void;
  readonly counts: Counts;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly starts: readonly Start[];
  /** When a final event last came; 0 = never. */
  readonly lastEndMs: number;
}

export function openLedger(): Ledger {
  const entries = new Map<string, Entry>();
  const starts: Start[] = [];
  const seenEvents = new Set<string>();
  const tally = {
    completed: 0,
    failed: 0,
    cancelled: 0,
    retries: 0,
    repeats: 0,
    contradictions: 0,
    others: 0,
  };
  let lastEndMs = 0;

  function end(entry: Entry, outcome: NonNullable<Entry['outcome']>, atMs: number): void {
    if (entry.outcome === outcome) {
      tally.repeats++;
    } else if (entry.outcome !== undefined) {
      tally.contradictions++;
    } else {
      entry.outcome = outcome;
      entry.endedMs = atMs;
      tally[outcome]++;
    }
  }

  return {
    submit(id, filter, submittedMs) {
      const blank = { endedMs: undefined, outcome: undefined, failure: undefined, steps: [] };
      entries.set(id, { id, filter, submittedMs, ...blank });
    },
    withdraw: (id) => void entries.delete(id),
    event({ key, id, subject, time, data }, receivedMs) {
      const entry = entries.get(subject);
      if (entry === undefined) {
        if (isFinal(key)) tally.others++;
        return;
      }
      if (isFinal(key)) {
        lastEndMs = receivedMs;
        entry.failure ??= failureOf(data);
        if (Array.isArray(data.steps)) entry.steps = data.steps as StepRecord[];
        return end(entry, outcomeOf(data), receivedMs);
      }
      if (seenEvents.has(id)) return;
      seenEvents.add(id);
      if (key === 'task.retrying') tally.retries++;
      if (key === 'task.started')
        starts.push({
          worker: String(data.worker),
          task: subject,
          step: Number(data.step),
          filter: String(data.filter),
          atMs: Date.parse(time),
        });
    },
    deadLetter(id, failure) {
      const entry = entries.get(id);
      if (entry === undefined || entry.outcome === 'failed') return;
      entry.failure ??= failure;
      end(entry, 'failed', Number.NaN);
    },
    get counts() {
      const { completed, failed, cancelled } = tally;
      const open = entries.size - completed - failed - cancelled;
      return { submitted: entries.size, open, ...tally };
    },
    entries,
    starts,
    get lastEndMs() {
      return lastEndMs;
    },
  };
}

/** Every stay in a queue of every task: those of ended tasks, and the first of tasks that are still open. */
export function visitsOf(entries: Iterable<Entry>): Visit[] {
  const visits: Visit[] = [];
  for (const { id: task, filter, submittedMs, steps } of entries) {
    let arrivedMs = submittedMs;
    for (const [step, { filter: by, queue_ms: queueMs, work_ms: workMs }] of steps.entries()) {
      visits.push({ task, step, filter: by, arrivedMs, waitMs: queueMs ?? Number.NaN, workMs });
      arrivedMs += (queueMs ?? 0) + workMs;
    }
    if (steps.length === 0)
      visits.push({ task, step: 0, filter, arrivedMs, waitMs: Number.NaN, workMs: Number.NaN });
  }
  return visits.sort((a, b) => a.arrivedMs - b.arrivedMs);
}

export interface Account extends Counts {
  /** Still in a queue or in work when the run ended. */
  unfinished: number;
  /** Neither ended nor anywhere to be found, or said to be completed without a result in the storage. */
  lost: number;
  /** Completed tasks whose result is not in the storage; they are among the lost. */
  withoutResult: number;
}

/** @param inQueues messages that the queues hold at the end, waiting or in work, without those of others */
export function accountOf(counts: Counts, inQueues: number, withoutResult: number): Account {
  const unfinished = Math.min(counts.open, Math.max(0, inQueues));
  return { ...counts, unfinished, withoutResult, lost: counts.open - unfinished + withoutResult };
}

export function nothingEnded({ completed, failed, cancelled }: Counts): boolean {
  return completed + failed + cancelled === 0;
}

function isFinal(key: string): boolean {
  return key === 'task.completed' || key === 'task.failed';
}

function outcomeOf({ outcome }: Record<string, unknown>): NonNullable<Entry['outcome']> {
  return outcome === 'completed' || outcome === 'cancelled' ? outcome : 'failed';
}

function failureOf(data: Record<string, unknown>): Entry['failure'] {
  if (data.outcome === 'completed' || data.failure_type === undefined) return undefined;
  return { type: String(data.failure_type), reason: String(data.failure_reason) };
}
