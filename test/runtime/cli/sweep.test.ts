/** `darkroom sweep`: old objects go one by one, and what cannot go is named. */
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { sweepStorage } from '../../../runtime/cli/sweep-storage.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { markerKey } from '../../../runtime/task/task-marker.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const DAY_MS = 86_400_000;

async function openSite(old: string[], young: string[] = []) {
  const folder = await temporaryFolder();
  const put = async (key: string, ageMs: number) => {
    const file = join(folder.path, key);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, 'x');
    const time = new Date(Date.now() - ageMs);
    await utimes(file, time, time);
  };
  for (const key of old) await put(key, 30 * DAY_MS);
  for (const key of young) await put(key, 0);
  const storage = await openStorage(`file://${folder.path}`);
  const left = async () => {
    const keys: string[] = [];
    for await (const { key } of storage.list('.darkroom')) keys.push(key);
    return keys;
  };
  return { storage, folder: folder.path, left, [Symbol.asyncDispose]: folder[Symbol.asyncDispose] };
}

const IMAGES = [
  '.darkroom/tasks/a/x-step-0',
  '.darkroom/tasks/b/x-step-0',
  '.darkroom/tasks/b/submitted.json',
];

it('goes on past an object that cannot be removed, and past a folder that cannot be listed', async () => {
  await using site = await openSite(
    [markerKey('a', 0), markerKey('b', 0), ...IMAGES],
    ['.darkroom/tasks/c/x-step-0'],
  );
  const remove = site.storage.remove.bind(site.storage);
  site.storage.remove = async (key) => {
    if (key === IMAGES[0]) throw new Error('not today');
    await remove(key);
  };

  const swept = await sweepStorage(site.storage, DAY_MS);

  expect(swept).toEqual({ removed: 4, failed: [{ key: IMAGES[0], why: 'not today' }] });
  expect(await site.left()).toEqual([IMAGES[0], '.darkroom/tasks/c/x-step-0']);
  site.storage.list = (prefix) => {
    if (prefix.endsWith('ended')) throw new Error('no list');
    return openList();
  };
  const openList = async function* () {};
  expect(await sweepStorage(site.storage, DAY_MS)).toMatchObject({
    removed: 0,
    failed: [{ key: '.darkroom/ended', why: expect.stringMatching(/no list/) }],
  });
});

it('keeps the markers of earlier generations with the last one', async () => {
  const old = [0, 1].map((generation) => markerKey('a', generation));
  await using site = await openSite([...old, markerKey('b', 0), markerKey('b', 1)], [markerKey('a', 2)]);

  const { removed } = await sweepStorage(site.storage, DAY_MS);

  expect(removed).toBe(2);
  expect((await site.left()).sort()).toEqual([...old, markerKey('a', 2)].sort());
});

it('as a command leaves what is no file of its own, and says how many it removed', async () => {
  await using site = await openSite([markerKey('a', 0), ...IMAGES]);
  await symlink('/etc/hostname', join(site.folder, '.darkroom/tasks/a/link'));

  const swept = await runDarkroom(['sweep', '--json'], {
    ...process.env,
    STORAGE_URL: `file://${site.folder}`,
  });

  expect(swept.code, swept.stderr).toBe(0);
  expect(JSON.parse(swept.stdout)).toMatchObject({ removed: 4, failed: [] });
});
