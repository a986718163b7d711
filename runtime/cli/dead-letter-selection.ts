/** Chooses dead letters by the options of a command. */
import { UserError } from '../errors.ts';
import { parseDuration } from '../units.ts';
import type { DeadLetter } from './dead-letter.ts';

/** The options as given; durations are still text. */
export interface DeadLetterSelection {
  filter?: string;
  reason?: string;
  id?: string;
  /** The id of a task or of a message. */
  anyId?: string;
  olderThan?: string;
  newerThan?: string;
  limit?: number;
}

/** Tells whether a letter is chosen; the caller counts up to `limit`. @throws UserError for an invalid duration */
export function selectionMatcher(
  selection: DeadLetterSelection,
  nowMs = Date.now(),
): (letter: DeadLetter) => boolean {
  const olderMs = durationOf('--older-than', selection.olderThan);
  const newerMs = durationOf('--newer-than', selection.newerThan);
  return (letter) => {
    const ageMs = letter.failed_at === null ? Number.NaN : nowMs - Date.parse(letter.failed_at);
    if (selection.id !== undefined && letter.id !== selection.id) return false;
    if (selection.anyId !== undefined && !isCalled(letter, selection.anyId)) return false;
    if (selection.filter !== undefined && letter.filter !== selection.filter) return false;
    if (selection.reason !== undefined && !hasReason(letter, selection.reason)) return false;
    if (olderMs !== undefined && !(ageMs >= olderMs)) return false;
    return newerMs === undefined || ageMs <= newerMs;
  };
}

function isCalled({ id, message_id }: DeadLetter, wanted: string): boolean {
  return id === wanted || message_id === wanted;
}

function hasReason({ failure_type, reason }: DeadLetter, wanted: string): boolean {
  const text = wanted.toLowerCase();
  return failure_type === text || reason.toLowerCase().includes(text);
}

function durationOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new UserError(`${option}: expected a duration such as 30m, 12h or 7d, got "${text}".`);
  return ms;
}
