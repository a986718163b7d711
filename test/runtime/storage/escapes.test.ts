/** No key reads, writes, removes or lists anything outside the root of a storage. */
import { describe, expect, test } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { folderOpener, pathOpener } from '../../../runtime/storage/folder.ts';
import { openInputs } from '../../../runtime/storage/inputs.ts';
import { assertUserKey } from '../../../runtime/storage/keys.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { words } from '../../support/words.ts';
import { calls, startGuardedSite, thrownBy } from './guarded-site.ts';
import { LITERAL_KEYS, REFUSED_KEYS } from './hostile-keys.ts';

test('has more than a hundred keys', () => {
  expect(new Set(REFUSED_KEYS).size).toBeGreaterThan(100);
});

describe.each([
  ['a folder', folderOpener],
  ['a folder without /proc', pathOpener],
])('storage in %s', (_kind, opener) => {
  test('refuses every bad key in every call', async () => {
    await using site = await startGuardedSite(opener);
    const before = await site.outside();

    for (const text of REFUSED_KEYS) {
      const key = text.replace('@', site.parent);
      for (const [call, work] of calls(site.storage, key)) {
        // The empty prefix means all of the storage in a list.
        if (call === 'list' && (key === '' || key === '/')) continue;
        // A slash at the end of a prefix is a manner of writing it.
        if (['list', 'removeAll'].includes(call) && key === 'a/') continue;
        expect(await thrownBy(work), `${call} ${JSON.stringify(key)}`).toBeInstanceOf(Rejection);
      }
    }

    expect(await site.outside()).toEqual(before);
    expect(await Array.fromAsync(site.storage.list(''))).toEqual([]);
  });

  test('keeps keys that only look bad inside the root', async () => {
    await using site = await startGuardedSite(opener);
    const before = await site.outside();

    for (const key of LITERAL_KEYS) {
      await site.storage.write(key, Buffer.from(key));
      expect(String(await site.storage.read(key))).toBe(key);
    }
    expect(await Array.fromAsync(site.storage.list(''))).toHaveLength(LITERAL_KEYS.length);
    for (const key of LITERAL_KEYS) await site.storage.remove(key);

    expect(await site.outside()).toEqual(before);
    expect(await Array.fromAsync(site.storage.list(''))).toEqual([]);
  });
});

test('S3 sends nothing for a bad key and keeps good ones below the prefix', async () => {
  await using server = await startS3Server();
  const storage = await openStorage(server.url, { credentials: server.credentials });
  for (const text of REFUSED_KEYS) {
    const key = text.replace('@', '/tmp');
    for (const [call, work] of calls(storage, key)) {
      if (call === 'list' && (key === '' || key === '/')) continue;
      if (['list', 'removeAll'].includes(call) && key === 'a/') continue;
      expect(await thrownBy(work), `${call} ${JSON.stringify(key)}`).toBeInstanceOf(Rejection);
    }
  }
  expect(server.requests).toEqual([]);

  for (const key of LITERAL_KEYS) {
    await storage.write(key, Buffer.from(key));
    expect(String(await storage.read(key))).toBe(key);
  }
  expect(
    server.requests.every((request) => request.split(' ')[1]!.startsWith(`/${server.bucket}/images/`)),
  ).toBe(true);
});

test.each([
  ...words(
    '.darkroom .darkroom/x .darkroom/work/1 .DARKROOM/x .Darkroom/x .darKroom/x ．darkroom/x .darkroom./x',
  ),
  '.darkroom /x',
  '.darkroom. ./x',
  '.dark\u200broom/x',
  '.dark\u00adroom/x',
  '.darkroom::$INDEX_ALLOCATION/x',
  'DARKRO~1/x',
  'darkro~2',
  '\ufeff.darkroom/x',
])('the key %j of a sender cannot enter the runtime’s folder', async (key) => {
  await using site = await startGuardedSite(folderOpener);
  const inputs = openInputs({ storage: site.storage });

  expect(() => assertUserKey(key, 'output.key')).toThrow('reserved for the runtime');
  await expect(inputs.read(key)).rejects.toMatchObject({
    failureType: 'input-forbidden',
    consequence: 'reject',
  });
});

test('the runtime itself may enter its folder, a sender one with a like name', async () => {
  await using site = await startGuardedSite(folderOpener);
  await site.storage.write('.darkroom/work/1', Buffer.from('x'));

  expect(await site.storage.stat('.darkroom/work/1')).toBeDefined();
  for (const key of ['darkroom/x', 'x/.darkroom/y', '.darkroom2/x', '.dark/room'])
    expect(() => assertUserKey(key)).not.toThrow();
  expect(await thrownBy(() => site.storage.write('.darkroom/tmp/x', Buffer.from('x')))).toBeInstanceOf(
    Rejection,
  );
});
