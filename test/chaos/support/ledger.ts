/**
 * The oracle: what was submitted, kept outside the system under test, against what became of it. A task must end
 * as a result with the right bytes and the final event that says so, or as a dead letter with its reason.
 */
import { createHash } from 'node:crypto';
import { noFigures, type Outcome } from './scenario.ts';

export interface Submission {
  id: string;
  /** What may become of it. Default: a result. */
  expect?: 'result' | 'dead letter' | 'either';
  /** The bytes the result must have, where they are known. */
  bytes?: Buffer;
  /** The key of the result, where the publisher chose it. */
  key?: string;
}

export interface Letter {
  failureType: string;
  reason: string;
  filter: string;
}

interface Entry extends Submission {
  /** By outcome, as told by final events. */
  told: { completed: number; failed: number };
  output: { key: string; sha256: string } | undefined;
  letters: Letter[];
}

export interface Ledger {
  submit(submission: Submission): void;
  /** A final event. `seenBefore`: the broker itself says that it gives it to us again. */
  event(id: string, data: Record<string, unknown>, seenBefore: boolean): void;
  letter(id: string, letter: Letter, seenBefore: boolean): void;
  /** Submitted tasks without an outcome yet. */
  readonly open: number;
  readonly submitted: number;
  openIds(): string[];
  letters(id: string): readonly Letter[];
  /** How many dead letters have which failure type, the most frequent first. */
  reasons(): [failureType: string, count: number][];
  /** Changes with every outcome that arrives. */
  readonly arrivals: number;
  /** Compares everything. `read` gives the bytes of a result, or undefined where there is none. */
  audit(read: (key: string) => Promise<Buffer | undefined>): Promise<Outcome>;
}

const MAX_FAULTS = 5;

export function openLedger(): Ledger {
  const entries = new Map<string, Entry>();
  const strangers: string[] = [];
  let open = 0;
  let arrivals = 0;

  function entryOf(id: string, what: string): Entry | undefined {
    arrivals++;
    const entry = entries.get(id);
    if (entry === undefined) strangers.push(`${what} of "${id}", which nobody submitted`);
    else if (!hasOutcome(entry)) open--;
    return entry;
  }

  return {
    submit(submission) {
      if (entries.has(submission.id)) throw new Error(`"${submission.id}" is in the ledger already`);
      entries.set(submission.id, {
        ...submission,
        told: { completed: 0, failed: 0 },
        output: undefined,
        letters: [],
      });
      open++;
    },
    event(id, data, seenBefore) {
      const entry = entryOf(id, 'a final event');
      if (entry === undefined) return;
      const outcome = data.outcome === 'completed' ? 'completed' : 'failed';
      if (!seenBefore || entry.told[outcome] === 0) entry.told[outcome]++;
      if (data.output !== undefined) entry.output = data.output as Entry['output'];
    },
    letter(id, letter, seenBefore) {
      const entry = entryOf(id, `a dead letter (${letter.failureType}: ${letter.reason})`);
      if (entry !== undefined && (!seenBefore || entry.letters.length === 0)) entry.letters.push(letter);
    },
    get open() {
      return open;
    },
    get submitted() {
      return entries.size;
    },
    openIds: () => [...entries.values()].filter((entry) => !hasOutcome(entry)).map(({ id }) => id),
    letters: (id) => entries.get(id)?.letters ?? [],
    reasons() {
      const counts = new Map<string, number>();
      for (const { letters } of entries.values())
        for (const { failureType } of letters) counts.set(failureType, (counts.get(failureType) ?? 0) + 1);
      return [...counts].sort(([, a], [, b]) => b - a);
    },
    get arrivals() {
      return arrivals;
    },
    async audit(read) {
      const outcome: Outcome = { ...noFigures(), notes: [], faults: [] };
      const unexplained = [...strangers];
      const wrong: string[] = [];
      const lost: string[] = [];
      for (const entry of entries.values()) {
        outcome.submitted++;
        outcome.duplicates += repeats(entry);
        if (!hasOutcome(entry)) lost.push(`"${entry.id}" has no outcome`);
        else if (entry.told.completed > 0) await checkResult(entry, read, wrong, lost);
        const faults = faultsOf(entry);
        unexplained.push(...faults.map((fault) => `"${entry.id}" ${fault}`));
        if (entry.told.completed > 0) outcome.results++;
        else if (entry.letters.length > 0) outcome.deadLetters++;
      }
      outcome.lost = lost.length;
      outcome.wrong = wrong.length;
      outcome.unexplained = unexplained.length;
      outcome.faults = [lost, wrong, unexplained].flatMap(firstOf);
      return outcome;
    },
  };
}

function hasOutcome({ told, letters }: Entry): boolean {
  return told.completed + told.failed + letters.length > 0;
}

function repeats({ told, letters }: Entry): number {
  return Math.max(0, told.completed - 1) + Math.max(0, told.failed - 1) + Math.max(0, letters.length - 1);
}

async function checkResult(
  entry: Entry,
  read: (key: string) => Promise<Buffer | undefined>,
  wrong: string[],
  lost: string[],
): Promise<void> {
  const key = entry.key ?? entry.output?.key;
  const bytes = key === undefined ? undefined : await read(key);
  if (bytes === undefined) {
    lost.push(`"${entry.id}" is said to be completed, but its result ${key ?? ''} is not there`);
    return;
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== entry.output?.sha256) wrong.push(`"${entry.id}" has other bytes than its event says`);
  else if (entry.bytes !== undefined && !bytes.equals(entry.bytes))
    wrong.push(`"${entry.id}" has ${bytes.length} bytes that are not the expected ${entry.bytes.length}`);
}

function faultsOf({ told, letters, expect = 'result' }: Entry): string[] {
  const faults: string[] = [];
  const letter = letters[0];
  if (told.completed > 0 && told.failed > 0) faults.push('has ended twice, completed and failed');
  if (told.completed > 0 && letter !== undefined)
    faults.push(`is completed and a dead letter (${letter.failureType}: ${letter.reason})`);
  if (told.failed > 0 && letter === undefined) faults.push('is said to have failed, but is no dead letter');
  if (letter !== undefined && told.completed === 0 && expect === 'result')
    faults.push(`is a dead letter (${letter.failureType}: ${letter.reason})`);
  if (told.completed > 0 && expect === 'dead letter') faults.push('is completed, which cannot be');
  if (letter !== undefined && !isClear(letter))
    faults.push(`has no clear reason: ${letter.failureType}: ${letter.reason}`);
  return faults;
}

/** A reason in words that a sender or an operator can act on; "Darkroom itself failed" is none. */
function isClear({ failureType, reason }: Letter): boolean {
  return failureType !== '' && reason.length >= 10 && !/Darkroom itself failed/.test(reason);
}

/** Enough to see what is wrong, and how often. */
export function firstOf(all: string[]): string[] {
  const more = all.length > MAX_FAULTS ? [`… and ${all.length - MAX_FAULTS} more`] : [];
  return [...all.slice(0, MAX_FAULTS), ...more];
}
