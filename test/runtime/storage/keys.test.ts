/** Properties of keys, over generated ones. */
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { assertKey, assertUserKey, isKey } from '../../../runtime/storage/keys.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { words } from '../../support/words.ts';

/** Text that is made of what is dangerous in paths, mixed with anything. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '..',
        '.',
        '/',
        '//',
        '\\',
        '\0',
        '%2e',
        '%2f',
        ' ',
        ...words('~ : C: .darkroom tmp a secret'),
        '\u2028',
        '．',
        '\ud800',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

test('an accepted key stays below every root, on POSIX and on Windows', () => {
  fc.assert(
    fc.property(hostile, (key) => {
      fc.pre(isKey(key));
      expect(path.posix.resolve('/root', key)).toBe(`/root/${key}`);
      expect(path.posix.normalize(key)).toBe(key);
      const windows = path.win32.resolve('C:\\root', key);
      expect(windows.startsWith('C:\\root\\')).toBe(true);
      expect(path.win32.isAbsolute(key)).toBe(false);
    }),
    { numRuns: 20_000 },
  );
});

test('a key is accepted or refused in words, never anything else', () => {
  fc.assert(
    fc.property(hostile, (key) => {
      for (const check of [assertKey, assertUserKey]) {
        try {
          check(key, 'input');
        } catch (error) {
          expect(error).toBeInstanceOf(Rejection);
          expect((error as Rejection).failureType).toBe('input-forbidden');
          expect((error as Rejection).message).toMatch(/^input .* cannot be used: .*\. Expected/s);
          expect((error as Rejection).message.length).toBeLessThan(500);
        }
      }
    }),
    { numRuns: 20_000 },
  );
});

test('a folder keeps what is written under any accepted key, and lists exactly that', async () => {
  await using folder = await temporaryFolder();
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter((text) => isKey(text) && !text.includes('/'));
  const anyKey = fc.array(name, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(anyKey, { minLength: 1, maxLength: 4 }), async (keys) => {
      // One key cannot be a folder above another, as file systems go.
      fc.pre(!keys.some((key) => keys.some((other) => other.startsWith(`${key}/`))));
      fc.pre(!keys.some((key) => key.toLowerCase().startsWith('.darkroom')));
      const storage = await openStorage(path.join(folder.path, String(run++)));
      for (const key of keys) await storage.write(key, Buffer.from(key));
      for (const key of keys) expect(String(await storage.read(key))).toBe(key);
      const listed = (await Array.fromAsync(storage.list(''))).map(({ key }) => key);
      expect(new Set(listed)).toEqual(new Set(keys));
      for (const key of keys) await storage.remove(key);
      expect(await Array.fromAsync(storage.list(''))).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test('says which field of the task a key came from', () => {
  expect(() => assertUserKey('../x', 'output.key')).toThrow(
    expect.objectContaining({ failureType: 'invalid-task' }),
  );
  expect(() => assertUserKey('../x', 'input')).toThrow(
    /^input "\.\.\/x" cannot be used: .*Expected a relative key/,
  );
  expect(() => assertUserKey(' https://user:CANARY@host/x?sig=CANARY', 'input')).not.toThrow('CANARY');
});
