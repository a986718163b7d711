/** Starts the process that runs filters: what it may know, and how it ends with its parent. */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process';
import { isStorageVariable } from '../storage/open.ts';
import type { ChildSettings } from './child.ts';
import { parentBinding } from './parent-death.ts';

const CHILD = new URL('./child.ts', import.meta.url);

export interface ChildStart {
  settings: ChildSettings;
  /** Processors the image library may use. */
  threads: number;
  /** What it runs as; default: as this process. */
  user: { uid: number | undefined; gid: number | undefined };
  env: NodeJS.ProcessEnv;
}

export function startChild({ settings, threads, user, env }: ChildStart): ChildProcess {
  return forkBound(CHILD, settings, childEnvironment(env, threads), {
    ...user,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}

/** Starts a module that reads its settings, and whose child it is, from its arguments: `child.ts` shows how. */
export function forkBound(
  entry: URL,
  settings: object,
  env: NodeJS.ProcessEnv,
  options: Pick<ForkOptions, 'uid' | 'gid' | 'stdio'>,
): ChildProcess {
  const binding = parentBinding(env);
  const command = [...binding, process.execPath, '--disable-warning=ExperimentalWarning'];
  const parent = [String(process.pid), ...(binding.length > 0 ? ['bound'] : [])];
  return fork(entry, [JSON.stringify(settings), ...parent], {
    env,
    serialization: 'advanced',
    execPath: command[0],
    execArgv: command.slice(1),
    // A group of its own: what a filter starts ends with the child, and Ctrl-C in a terminal is the parent's alone.
    detached: true,
    ...options,
  });
}

/** Ends a child with all that its filters have started. */
export function killChild(child: ChildProcess): void {
  child.kill('SIGKILL');
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left in the group.
  }
}

/** What a child may know: enough to run, to reach the storage and to trust its certificates. Never the broker. */
const CHILD_VARIABLES =
  /^(PATH|HOME|TMPDIR|TEMP|TMP|TZ|LANG|LC_.*|SYSTEMROOT|NODE_EXTRA_CA_CERTS|NODE_COMPILE_CACHE|SSL_CERT_.*|LD_PRELOAD|LD_LIBRARY_PATH|MALLOC_.*|GLIBC_TUNABLES|FONTCONFIG_.*|DARKROOM_FAILPOINT)$/;

export function childEnvironment(env: NodeJS.ProcessEnv, threads: number): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(
    Object.entries(env).filter(([name]) => CHILD_VARIABLES.test(name) || isStorageVariable(name)),
  );
  return imageEnvironment(kept, threads);
}

/** `env` with what the image library and its memory want to be told at the start of a process. */
export function imageEnvironment(env: NodeJS.ProcessEnv, threads: number): NodeJS.ProcessEnv {
  return {
    // libvips counts processors, not the container's quota; on glibc sharp uses one thread unless arenas are bounded.
    MALLOC_ARENA_MAX: '2',
    // Large pages where the system gives them to who asks: a photo's small ones take half as long to get as to decode.
    GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
    ...env,
    // The same for jemalloc; of two values the last one counts.
    MALLOC_CONF: ['thp:always', env.MALLOC_CONF].filter(Boolean).join(','),
    VIPS_CONCURRENCY: String(threads),
    UV_THREADPOOL_SIZE: String(Math.max(4, threads)),
    VIPS_BLOCK_UNTRUSTED: '1',
  };
}
