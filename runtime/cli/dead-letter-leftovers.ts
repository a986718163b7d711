/**
 * Removes the images that failed tasks keep between their steps, once their letters are purged. A letter is outside data:
 * a forged one must not take away what a running task needs.
 */
import { asError } from '../errors.ts';
import { capText } from '../redact.ts';
import type { Storage } from '../storage/storage.ts';
import { intermediatesFolder } from '../task/task-marker.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { LetterResult } from './dead-letters.ts';
import { standingOf } from './task-standing.ts';

/**
 * @param kept the letters that stay
 * @returns the letters whose images could not be removed
 */
export async function removeLeftovers(
  storage: Storage,
  purged: DeadLetter[],
  kept: DeadLetter[],
): Promise<LetterResult[]> {
  const faults: LetterResult[] = [];
  const wanted = new Set(kept.map(({ id }) => id));
  for (const letter of purged) {
    if (wanted.has(letter.id)) continue;
    try {
      if (await isOver(storage, letter)) await storage.removeAll(intermediatesFolder(letter.id));
    } catch (thrown) {
      const why = capText(asError(thrown).message);
      const fault = `its letter is gone, but its images stay until darkroom sweep finds them too old: ${why}`;
      faults.push({ letter, fault });
    }
  }
  return faults;
}

/** Whether the letter is to be believed, the storage too says that its task has failed, and no replay is under way. */
async function isOver(storage: Storage, letter: DeadLetter): Promise<boolean> {
  if (!letter.believed || !letter.of_worker || letter.failure_type === 'task-id-reused') return false;
  const { end, inFlight } = await standingOf(storage, letter.id);
  return inFlight === undefined && end?.marker?.outcome === 'failed';
}
