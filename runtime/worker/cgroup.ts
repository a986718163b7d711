/** What the container may use: CPU and memory limits from cgroup v2 or v1, so that threads follow the container. */
import { openSync, readFileSync, readSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

/** Processors this process may keep busy, at least 1, rounded up: a quota of 1.5 gives 2. */
export function cpuLimit(root = '/sys/fs/cgroup', processors = availableParallelism()): number {
  const quota = cpuQuota(root);
  return quota === undefined ? processors : Math.max(1, Math.min(processors, Math.ceil(quota)));
}

/** Bytes of memory this process may use. */
export function memoryLimit(root = '/sys/fs/cgroup', total = totalmem()): number {
  const limit = number(read(`${root}/memory.max`)) ?? number(read(`${root}/memory/memory.limit_in_bytes`));
  return limit === undefined ? total : Math.min(limit, total);
}

/**
 * How often the kernel has killed a process of this group because memory ran out. It is asked before each task, so the
 * file is looked for once and stays open: a process does not change its group while it works.
 */
export class OomKills {
  readonly #file: string | undefined;
  readonly #text = Buffer.alloc(4_096);
  #descriptor: number | undefined;

  constructor(root = '/sys/fs/cgroup', memberships = '/proc/self/cgroup') {
    this.#file = oomKillFile(root, memberships);
  }

  /** Undefined where the kernel does not say. */
  get count(): number | undefined {
    if (this.#file === undefined) return undefined;
    try {
      this.#descriptor ??= openSync(this.#file, 'r');
      const length = readSync(this.#descriptor, this.#text, 0, this.#text.length, 0);
      return countOfOomKills(this.#text.toString('latin1', 0, length));
    } catch {
      return undefined;
    }
  }
}

function oomKillFile(root: string, memberships: string): string | undefined {
  const groups = read(memberships) ?? '';
  const [v2 = '', v1 = ''] = [/^0::(.*)$/m, /^\d+:memory:(.*)$/m].map((line) => line.exec(groups)?.[1]);
  // A container sees its own group at the root, whatever it is called outside.
  const files = [
    `${v2}/memory.events`,
    'memory.events',
    `memory${v1}/memory.oom_control`,
    'memory/memory.oom_control',
  ];
  return files
    .map((file) => `${root}/${file}`)
    .find((file) => countOfOomKills(read(file) ?? '') !== undefined);
}

function countOfOomKills(text: string): number | undefined {
  const count = /^oom_kill (\d+)$/m.exec(text)?.[1];
  return count === undefined ? undefined : Number(count);
}

function cpuQuota(root: string): number | undefined {
  const [quota, period] = read(`${root}/cpu.max`)?.split(' ') ?? [];
  const limit =
    ratio(quota, period) ??
    ratio(read(`${root}/cpu/cpu.cfs_quota_us`), read(`${root}/cpu/cpu.cfs_period_us`));
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

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
