import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpuLimit, memoryLimit } from '../../../runtime/worker/cgroup.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

async function cgroup(files: Record<string, string>) {
  const folder = await temporaryFolder();
  await mkdir(join(folder.path, 'cpu'));
  await mkdir(join(folder.path, 'memory'));
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder.path, file), `${text}\n`);
  return folder;
}

describe('the container’s limits', () => {
  it.each([
    ['v2, one and a half', { 'cpu.max': '150000 100000' }, 2],
    ['v2, a tenth', { 'cpu.max': '10000 100000' }, 1],
    ['v2, none', { 'cpu.max': 'max 100000' }, 8],
    ['v2, more than there are', { 'cpu.max': '1600000 100000' }, 8],
    ['v1, three', { 'cpu/cpu.cfs_quota_us': '300000', 'cpu/cpu.cfs_period_us': '100000' }, 3],
    ['v1, none', { 'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000' }, 8],
    ['no cgroup at all', {}, 8],
  ])('processors: %s', async (_, files, expected) => {
    await using folder = await cgroup(files);
    expect(cpuLimit(folder.path, 8)).toBe(expected);
  });

  it.each([
    ['v2', { 'memory.max': '536870912' }, 536_870_912],
    ['v2, none', { 'memory.max': 'max' }, 1e10],
    ['v1', { 'memory/memory.limit_in_bytes': '268435456' }, 268_435_456],
    ['v1, absurdly high', { 'memory/memory.limit_in_bytes': '9223372036854771712' }, 1e10],
  ])('memory: %s', async (_, files, expected) => {
    await using folder = await cgroup(files);
    expect(memoryLimit(folder.path, 1e10)).toBe(expected);
  });
});
