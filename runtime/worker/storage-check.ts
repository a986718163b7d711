/**
 * Whether the storage keeps the first of two writes at one moment. Where it does not, two tasks with one id may both
 * be told that they completed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, UserError } from '../errors.ts';
import { redactText } from '../redact.ts';
import { LAST_WRITE_WINS, type Storage } from '../storage/storage.ts';

/** `required`: before the first task, or the worker stops. `told`: said once, after the first tasks. */
export type StorageCheck = 'required' | 'told';

const TRY_AGAIN_MS = 2_000;
/** Not in the way of the first tasks. */
const LEARN_DELAY_MS = 1_000;

/**
 * Tries until the storage answers.
 * @throws UserError when the last write wins there
 */
export async function requireFirstWrite(storage: Storage): Promise<void> {
  for (;;) {
    const isKept = await storage.keepsFirstWrite().catch((error: unknown) => asError(error));
    if (isKept === true) return;
    if (isKept === false)
      throw new UserError(
        `${storage.url} ${LAST_WRITE_WINS} STORAGE_REQUIRE_CONDITIONAL_WRITES forbids that: use another storage, or set it to false.`,
      );
    console.error(`${redactText(isKept.message)} It is tried again.`);
    await sleep(TRY_AGAIN_MS);
  }
}

/**
 * Where the first write is kept, writing a marker takes a request less from then on.
 * @param isTold whether to say otherwise, on standard error, which the worker logs as a warning
 */
export function learnOfFirstWrite(storage: Storage, isTold: boolean): void {
  setTimeout(async () => {
    // What the storage fails at now, the tasks will say.
    const isKept = await storage.keepsFirstWrite().catch(() => true);
    if (!isKept && isTold) console.error(`${storage.url} ${LAST_WRITE_WINS}`);
  }, LEARN_DELAY_MS).unref();
}
