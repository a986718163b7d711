/** What Linux says of a running process. Of one that is gone: nothing. */
import { readdir, readFile } from 'node:fs/promises';
import { until } from './until.ts';

const PAGE_BYTES = 4_096;

const factOf = (pid: number, file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => undefined);

export async function childPids(pid: number): Promise<number[]> {
  return ((await factOf(pid, `task/${pid}/children`)) ?? '').split(' ').filter(Boolean).map(Number);
}

/** All processes under it. */
export async function descendantPids(pid: number): Promise<number[]> {
  const children = await childPids(pid);
  return [...children, ...(await Promise.all(children.map(descendantPids))).flat()];
}

/** Whether it runs: not one that has ended and that its parent has not asked about. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await factOf(pid, 'stat');
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

/** Resolves when none of them runs any more. @throws Error naming them after `timeoutMs` */
export async function untilGone(pids: number[], timeoutMs: number): Promise<void> {
  const running = async () => (await Promise.all(pids.map(isRunning))).includes(true);
  await until(async () => pids.length > 0 && !(await running()), `the end of ${pids.join(', ')}`, timeoutMs);
}

/** Resident bytes. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const statm = await factOf(pid, 'statm');
  return statm === undefined ? undefined : Number(statm.split(' ')[1]) * PAGE_BYTES;
}

/** Open files, sockets and pipes. */
export async function openHandles(pid: number): Promise<number | undefined> {
  return (await readdir(`/proc/${pid}/fd`).catch(() => undefined))?.length;
}

/** What it was started with. */
export async function environmentOf(pid: number): Promise<string> {
  return (await factOf(pid, 'environ')) ?? '';
}

/** Its command line, which every user of the machine may read. */
export async function commandLineOf(pid: number): Promise<string> {
  return (await factOf(pid, 'cmdline')) ?? '';
}
