/** A control group with a memory limit, for tests of what the kernel does when memory runs out. Linux, as root. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { uniqueName } from './rabbit.ts';
import { until } from './until.ts';

const ROOT = '/sys/fs/cgroup';

export interface MemoryGroup extends AsyncDisposable {
  add(pid: number): void;
}

/** Undefined where this machine lets us make none. */
export function memoryGroup(bytes: number): MemoryGroup | undefined {
  const isV1 = existsSync(join(ROOT, 'memory/memory.limit_in_bytes'));
  const folder = join(ROOT, isV1 ? 'memory' : '', uniqueName('darkroom-test-'));
  try {
    if (!isV1 && !readFileSync(join(ROOT, 'cgroup.subtree_control'), 'utf8').includes('memory'))
      return undefined;
    mkdirSync(folder);
    writeFileSync(join(folder, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
  } catch {
    return undefined;
  }
  return {
    add: (pid) => writeFileSync(join(folder, 'cgroup.procs'), String(pid)),
    async [Symbol.asyncDispose]() {
      await until(() => readFileSync(join(folder, 'cgroup.procs'), 'utf8') === '', 'an empty control group');
      rmdirSync(folder);
    },
  };
}
