/** Tries a storage out, for `darkroom doctor`. */
import { v4 as uuid } from 'uuid';
import { asError, UserError } from '../errors.ts';
import { RUNTIME_FOLDER } from './keys.ts';
import { ObjectNotFound, type Storage } from './storage.ts';

/**
 * Writes, reads, looks for and removes a small object of its own.
 * @param remedy a sentence that says what to do when that fails
 * @param warn told when of two writers at one moment both may believe to be first
 * @throws {UserError} naming the step that failed
 */
export async function checkStorage(
  storage: Storage,
  remedy: string,
  warn: (message: string) => void,
): Promise<void> {
  const key = `${RUNTIME_FOLDER}/check/${uuid()}`;
  const bytes = Buffer.from(`darkroom storage check ${key}`);
  await step('write to', () => storage.write(key, bytes));
  await step('read from', async () => {
    const found = await storage.read(key);
    if (!found.equals(bytes)) throw new Error('what was read is not what was written');
  });
  await step('remove from', () => storage.remove(key));
  await step('tell an absent object from a forbidden one in', async () => {
    await storage.read(key).then(
      () => {
        throw new Error('a removed object is still there');
      },
      (error) => {
        if (!(error instanceof ObjectNotFound)) throw error;
      },
    );
  });
  await step('try conditional writes in', async () => {
    if (await storage.keepsFirstWrite()) return;
    warn(`${storage.url} ignores conditional writes: of two writers at one moment, the last one wins.`);
  });

  async function step(doing: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw new UserError(`Cannot ${doing} the storage ${storage.url}: ${asError(error).message} ${remedy}`, {
        cause: error,
      });
    }
  }
}
