import { stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeFolders } from '../../runtime/make-folders.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('makes a folder with those above it, also when others make it meanwhile', async () => {
  await using folder = await temporaryFolder();
  const deep = join(folder.path, 'a', 'b', 'c');

  await Promise.all([makeFolders(deep), makeFolders(deep), makeFolders(join(deep, 'd'))]);

  expect((await stat(join(deep, 'd'))).isDirectory()).toBe(true);
});

test('leaves a folder that is there, and follows a link to one', async () => {
  await using folder = await temporaryFolder();
  await makeFolders(join(folder.path, 'real'));
  await symlink(join(folder.path, 'real'), join(folder.path, 'link'));

  await makeFolders(join(folder.path, 'link', 'inner'));

  expect((await stat(join(folder.path, 'real', 'inner'))).isDirectory()).toBe(true);
});

test('gives the system’s error where a file is in the way', async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'file'), '');

  await expect(makeFolders(join(folder.path, 'file', 'inner'))).rejects.toThrow(/EEXIST|ENOTDIR/);
});

test('gives the system’s error where no folder can be, without end otherwise', async () => {
  await expect(makeFolders('/proc/no-such/inner')).rejects.toThrow(/ENOENT|EACCES|EPERM|EROFS/);
});
