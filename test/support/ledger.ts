/** What was submitted, kept outside the system under test, against the ends that it tells of. */
import type { StepRecord } from '../../runtime/task/hop.ts';

export interface Submission {
  id: string;
  /** The first step's filter. */
  filter?: string | undefined;
  /** Milliseconds since 1970. Default: now. */
  submittedMs?: number;
  /** What may become of it; only `any` may be cancelled. Default: a result. */
  expect?: 'result' | 'dead letter' | 'either' | 'any' | undefined;
  /** The bytes the result must have, where they are known. */
  bytes?: Buffer | undefined;
  /** The key of the result, where the publisher chose it. */
  key?: string | undefined;
}

export type Ending = 'completed' | 'failed' | 'cancelled';

/** A dead letter's reason to be one. */
export interface LetterReason {
  type: string;
  reason: string;
}

export interface LedgerEntry extends Submission {
  filter: string;
  submittedMs: number;
  /** How often each ending was told by a final event. */
  told: Record<Ending, number>;
  /** The first one told, by an event or a dead letter. */
  ending: Ending | undefined;
  /** When its event reached us; NaN when only a dead letter told of it. */
  endedMs: number | undefined;
  failure: LetterReason | undefined;
  output: { key: string; sha256: string } | undefined;
  steps: StepRecord[];
  letters: LetterReason[];
}

export class Ledger {
  readonly entries = new Map<string, LedgerEntry>();
  /** Final events and dead letters of tasks that nobody here submitted. */
  readonly strangers: string[] = [];
  /** Grows with every final event and dead letter. */
  arrivals = 0;
  #ended = 0;

  get submitted(): number {
    return this.entries.size;
  }

  /** Tasks without an ending yet. */
  get open(): number {
    return this.entries.size - this.#ended;
  }

  submit(submission: Submission): void {
    if (this.entries.has(submission.id)) throw new Error(`"${submission.id}" is in the ledger already`);
    this.entries.set(submission.id, {
      ...submission,
      filter: submission.filter ?? 'unknown',
      submittedMs: submission.submittedMs ?? Date.now(),
      told: { completed: 0, failed: 0, cancelled: 0 },
      ending: undefined,
      endedMs: undefined,
      failure: undefined,
      output: undefined,
      steps: [],
      letters: [],
    });
  }

  /** The broker refused it for good: it was never in a queue. */
  withdraw(id: string): void {
    if (this.entries.get(id)?.ending === undefined) this.entries.delete(id);
  }

  /** The data of a final event. `seenBefore`: the broker itself says that it gives it to us again. */
  end(id: string, data: Record<string, unknown>, seenBefore = false, atMs = Date.now()): void {
    const entry = this.#entryOf(id, 'a final event');
    if (entry === undefined) return;
    const ending = endingOf(data);
    this.#close(entry, ending, atMs);
    if (!seenBefore || entry.told[ending] === 0) entry.told[ending]++;
    if (data.output !== undefined) entry.output = data.output as LedgerEntry['output'];
    if (Array.isArray(data.steps)) entry.steps = data.steps as StepRecord[];
    if (ending !== 'completed' && data.failure_type !== undefined)
      entry.failure ??= { type: String(data.failure_type), reason: String(data.failure_reason) };
  }

  /** A dead letter also ends a task of which no event tells. */
  letter(id: string, letter: LetterReason, seenBefore = false): void {
    const entry = this.#entryOf(id, `a dead letter (${letter.type}: ${letter.reason})`);
    if (entry === undefined) return;
    this.#close(entry, 'failed', Number.NaN);
    entry.failure ??= letter;
    if (!seenBefore || entry.letters.length === 0) entry.letters.push(letter);
  }

  #entryOf(id: string, what: string): LedgerEntry | undefined {
    this.arrivals++;
    const entry = this.entries.get(id);
    if (entry === undefined) this.strangers.push(`${what} of "${id}", which nobody submitted`);
    return entry;
  }

  #close(entry: LedgerEntry, ending: Ending, atMs: number): void {
    if (entry.ending !== undefined) return;
    entry.ending = ending;
    entry.endedMs = atMs;
    this.#ended++;
  }
}

/** Final events and dead letters that came more than once: harmless, and counted. */
export function repeatsOf({ told, letters }: Pick<LedgerEntry, 'told' | 'letters'>): number {
  const counts = [...Object.values(told), letters.length];
  return counts.reduce((sum, count) => sum + Math.max(0, count - 1), 0);
}

function endingOf({ outcome }: Record<string, unknown>): Ending {
  return outcome === 'completed' || outcome === 'cancelled' ? outcome : 'failed';
}
