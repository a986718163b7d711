/**
 * The judge: each submitted task must have ended as a result with the right bytes and the final event that says so, or
 * as a dead letter with its reason.
 */
import { createHash } from 'node:crypto';
import { type Ledger, type LedgerEntry, type LetterReason, repeatsOf } from '../../support/ledger.ts';
import { noFigures, type ScenarioOutcome } from './scenario.ts';

const FAULTS_MAX = 5;

/** Gives the bytes of a result, or undefined where there is none. */
type ReadResult = (key: string) => Promise<Buffer | undefined>;

export async function audit(ledger: Ledger, read: ReadResult): Promise<ScenarioOutcome> {
  const outcome: ScenarioOutcome = { ...noFigures(), notes: [], faults: [] };
  const unexplained = [...ledger.strangers];
  const wrong: string[] = [];
  const lost: string[] = [];
  for (const entry of ledger.entries.values()) {
    outcome.submitted++;
    outcome.duplicates += repeatsOf(entry);
    if (entry.ending === undefined) lost.push(`"${entry.id}" has no outcome`);
    else if (entry.told.completed > 0) await checkResult(entry, read, wrong, lost);
    unexplained.push(...faultsOf(entry).map((fault) => `"${entry.id}" ${fault}`));
    if (entry.told.completed > 0) outcome.results++;
    else if (entry.letters.length > 0) outcome.deadLetters++;
  }
  outcome.lost = lost.length;
  outcome.wrong = wrong.length;
  outcome.unexplained = unexplained.length;
  outcome.faults = [lost, wrong, unexplained].flatMap(firstOf);
  return outcome;
}

/** How many dead letters have which failure type, such as `12 not-an-image, 3 timeout`; the most frequent first. */
export function letterTypes({ entries }: Ledger): string {
  const letters = [...entries.values()].flatMap((entry) => entry.letters);
  const byType = [...Map.groupBy(letters, ({ type }) => type)].sort(([, a], [, b]) => b.length - a.length);
  return byType.map(([type, { length }]) => `${length} ${type}`).join(', ');
}

/** Enough to see what is wrong, and how often. */
export function firstOf(all: string[]): string[] {
  const more = all.length > FAULTS_MAX ? [`… and ${all.length - FAULTS_MAX} more`] : [];
  return [...all.slice(0, FAULTS_MAX), ...more];
}

async function checkResult(
  entry: LedgerEntry,
  read: ReadResult,
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

function faultsOf({ told, letters, expect = 'result' }: LedgerEntry): string[] {
  const faults: string[] = [];
  const [letter] = letters;
  const failed = told.failed + told.cancelled > 0;
  if (told.completed > 0 && failed) faults.push('has ended twice, completed and failed');
  if (told.completed > 0 && letter !== undefined)
    faults.push(`is completed and a dead letter (${letter.type}: ${letter.reason})`);
  const owesLetter = expect === 'any' ? told.failed > 0 : failed;
  if (owesLetter && letter === undefined) faults.push('is said to have failed, but is no dead letter');
  if (letter !== undefined && told.completed === 0 && expect === 'result')
    faults.push(`is a dead letter (${letter.type}: ${letter.reason})`);
  if (told.completed > 0 && expect === 'dead letter') faults.push('is completed, which cannot be');
  if (letter !== undefined && !isClear(letter))
    faults.push(`has no clear reason: ${letter.type}: ${letter.reason}`);
  return faults;
}

/** A reason in words that a sender or an operator can act on; "Darkroom itself failed" is none. */
function isClear({ type, reason }: LetterReason): boolean {
  return type !== '' && reason.length >= 10 && !/Darkroom itself failed/.test(reason);
}
