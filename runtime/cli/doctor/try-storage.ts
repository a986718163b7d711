/** Tries a storage out, for `darkroom doctor`. */
import { v4 as uuid } from 'uuid';
import { asError, UserError } from '../../errors.ts';
import { RUNTIME_FOLDER } from '../../storage/keys.ts';
import { backendOf } from '../../storage/open.ts';
import { LAST_WRITE_WINS, ObjectNotFound, type Storage } from '../../storage/storage.ts';

/**
 * Writes, reads, looks for and removes a small object of its own.
 * @returns what the storage cannot promise, one sentence each
 * @throws {UserError} naming the step that failed, and how to correct it
 */
export async function tryStorage(storage: Storage): Promise<string[]> {
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
  if (await step('try conditional writes in', () => storage.keepsFirstWrite())) return [];
  return [`${storage.url} ${LAST_WRITE_WINS}`];

  async function step<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const what = `Cannot ${doing} the storage ${storage.url}: ${asError(error).message}`;
      throw new UserError(`${what} ${backendOf(storage.url)?.remedy ?? ''}`.trimEnd(), { cause: error });
    }
  }
}
