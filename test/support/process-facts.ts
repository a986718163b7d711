/** What Linux says of a running process. Of one that is gone: nothing. */
import { readdir, readFile } from 'node:fs/promises';
import { until } from './until.ts';

const PAGE_BYTES = 4_096;
/** Of the kernel's clock for CPU time. */
const TICK_MS = 10;

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

/** Resident bytes, of which pages that several processes share count for each by its part. */
export async function proportionalBytes(pid: number): Promise<number> {
  const [, kilobytes = 0] = /^Pss:\s+(\d+) kB/m.exec((await factOf(pid, 'smaps_rollup')) ?? '') ?? [];
  return Number(kilobytes) * 1_024;
}

/** CPU time that it has taken so far, its threads' included; in steps of 10 ms. */
export async function cpuMs(pid: number): Promise<number> {
  // The name before the closing bracket may hold anything; user and system time are the 12th and 13th field behind it.
  const fields = ((await factOf(pid, 'stat')) ?? '').split(') ').at(-1)!.split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
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
