/** Holds processes to one processor, and reads how much CPU time they took. Linux. */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { cpuMs, descendantPids } from '../support/process-facts.ts';
import { Missing } from './row.ts';

/** The processor that is measured, and the one for all that is not. */
export const MEASURED_CPU = 0;
export const OTHER_CPU = 1;

/** What keeps this machine from holding a process to a processor of its own. */
export async function cannotHold(): Promise<Missing | undefined> {
  if (availableParallelism() < 2)
    return new Missing('it takes two processors to hold a worker to one of them');
  return await holdToCpu(process.pid, `0-${availableParallelism() - 1}`).then(
    () => undefined,
    () => new Missing('a process cannot be held to one processor: it takes Linux and taskset (util-linux)'),
  );
}

/** A process with all its threads, and all processes under it. What they start later stays there too. */
export async function holdToCpu(pid: number, cpus: number | string): Promise<void> {
  for (const each of [pid, ...(await descendantPids(pid))])
    await promisify(execFile)('taskset', ['-a', '-p', '-c', String(cpus), String(each)]);
}

/** Until disposed of, this process stays on the processor that is not measured. */
export async function stepAside(): Promise<AsyncDisposable> {
  await holdToCpu(process.pid, OTHER_CPU);
  return {
    [Symbol.asyncDispose]: () => holdToCpu(process.pid, `0-${availableParallelism() - 1}`),
  };
}

/** CPU time of a process and of all that run under it, milliseconds. */
export async function cpuMsOfTree(pid: number): Promise<number> {
  const times = await Promise.all([pid, ...(await descendantPids(pid))].map(cpuMs));
  return times.reduce((sum, ms) => sum + ms, 0);
}
