/** What the container may use: CPU and memory limits from cgroup v2 or v1, so that threads follow the container. */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

/** Processors this process may keep busy, at least 1, rounded up: a quota of 1.5 gives 2. */
export function cpuLimit(root = '/sys/fs/cgroup', processors = availableParallelism()): number {
  const quota = cpuQuota(root);
  return quota === undefined ? processors : Math.max(1, Math.min(processors, Math.ceil(quota)));
}

/** Bytes of memory this process may use. */
export function memoryLimit(root = '/sys/fs/cgroup', total = totalmem()): number {
  const limit = number(read(root, 'memory.max')) ?? number(read(root, 'memory/memory.limit_in_bytes'));
  return limit === undefined ? total : Math.min(limit, total);
}

function cpuQuota(root: string): number | undefined {
  const [quota, period] = read(root, 'cpu.max')?.split(' ') ?? [];
  const limit =
    ratio(quota, period) ?? ratio(read(root, 'cpu/cpu.cfs_quota_us'), read(root, 'cpu/cpu.cfs_period_us'));
  return limit;
}

function ratio(quota: string | undefined, period: string | undefined): number | undefined {
  const [used, of] = [number(quota), number(period)];
  return used === undefined || of === undefined || of === 0 ? undefined : used / of;
}

/** A positive number; `max` and v1's -1 mean no limit. */
function number(text: string | undefined): number | undefined {
  const value = Number(text ?? Number.NaN);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

function read(root: string, file: string): string | undefined {
  try {
    return readFileSync(`${root}/${file}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
