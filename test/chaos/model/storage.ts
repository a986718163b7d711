/** A storage in memory whose every call waits for its turn, and may fail then. */
import { Retryable } from '../../../runtime/errors.ts';
import { ObjectNotFound, piecesOf, type Storage } from '../../../runtime/storage/storage.ts';
import type { Choices, Life, Turns } from './virtual-time.ts';

export type Objects = Map<string, Buffer>;

/** As one process sees it: with the process, its calls end. */
export function storageOf(objects: Objects, turns: Turns, life: Life, choices: Choices): Storage {
  const call = <T>(happen: () => T) =>
    turns.take(life, () => {
      if (choices.fault(8) === 0)
        throw new Retryable('The storage answered 500.', { failureType: 'storage' });
      return happen();
    });
  return {
    url: 'memory:',
    find: (key) => call(() => objects.get(key)),
    read: (key) =>
      call(() => {
        const bytes = objects.get(key);
        if (bytes === undefined) throw new ObjectNotFound(key, 'memory:');
        return bytes;
      }),
    write: (key, bytes, { ifAbsent = false } = {}) =>
      call(() => {
        if (ifAbsent && objects.has(key)) return false;
        objects.set(key, Buffer.concat(piecesOf(bytes)));
        return true;
      }),
    stage: (key, bytes) => {
      const staging = call(() => {});
      const ready = staging.catch(() => {});
      return {
        ready,
        commit: async () => {
          await staging;
          await call(() => void objects.set(key, Buffer.from(bytes)));
        },
        [Symbol.asyncDispose]: () => ready,
      };
    },
    stat: (key) =>
      call(() => {
        const bytes = objects.get(key);
        return bytes === undefined ? undefined : { bytes: bytes.length, modified: new Date(0) };
      }),
    remove: (key) => call(() => void objects.delete(key)),
    removeAll: (prefix) =>
      call(() => {
        for (const key of objects.keys()) if (key.startsWith(`${prefix}/`)) objects.delete(key);
      }),
    list: () => {
      throw new Error('no worker lists');
    },
    keepsFirstWrite: async () => true,
  };
}
