import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpuLimit, memoryLimit, OomKills } from '../../../runtime/worker/cgroup.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

async function cgroup(files: Record<string, string>) {
  const folder = await temporaryFolder();
  await mkdir(join(folder.path, 'cpu'));
  await mkdir(join(folder.path, 'memory/mine'), { recursive: true });
  await mkdir(join(folder.path, 'mine'));
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

describe('the kernel’s kills for want of memory', () => {
  const EVENTS = 'low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0';
  const CONTROL = 'oom_kill_disable 0\nunder_oom 0\noom_kill 2';

  it.each([
    ['v2, in a container', { 'memory.events': EVENTS, groups: '0::/' }, 3],
    ['v2, in a container that sees its host’s names', { 'memory.events': EVENTS, groups: '0::/mine/1' }, 3],
    ['v2, outside of one', { 'mine/memory.events': EVENTS, groups: '0::/mine' }, 3],
    ['v1, in a container', { 'memory/memory.oom_control': CONTROL, groups: '4:memory:/docker/1\n0::/' }, 2],
    [
      'v1, outside of one',
      {
        'memory/mine/memory.oom_control': CONTROL,
        'memory/memory.oom_control': 'oom_kill 9',
        groups: '5:cpu:/\n4:memory:/mine\n0::/',
      },
      2,
    ],
    ['not counted', { 'memory/memory.oom_control': 'under_oom 0', groups: '' }, undefined],
    ['no cgroup at all', {}, undefined],
  ])('are counted: %s', async (_, files, expected) => {
    await using folder = await cgroup(files);
    expect(new OomKills(folder.path, join(folder.path, 'groups')).count).toBe(expected);
  });

  it('are counted anew each time', async () => {
    await using folder = await cgroup({ 'memory.events': EVENTS, groups: '0::/' });
    const kills = new OomKills(folder.path, join(folder.path, 'groups'));
    const before = kills.count;

    await writeFile(join(folder.path, 'memory.events'), EVENTS.replace('oom_kill 3', 'oom_kill 14'));

    expect([before, kills.count]).toEqual([3, 14]);
  });
});
