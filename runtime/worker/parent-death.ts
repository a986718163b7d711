/**
 * A process that was started for another one does not outlive it, whatever it computes.
 *
 * Linux kills a process at its parent's death if the process has asked for that (PR_SET_PDEATHSIG), but Node cannot
 * ask. util-linux's `setpriv` asks and then becomes the program: no memory, 1 ms, and it takes effect at once. Where
 * there is none, a thread looks who the parent is: 17 MiB and 27 ms of processor time, so it comes second. The
 * main thread would not do: it learns of nothing while it is in a kernel or a decoder, for as long as a task takes.
 */
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Worker } from 'node:worker_threads';

const POLL_MS = 100;
/** As text: loading it as a module would take the thread twice as long. */
const WATCH = `
  const { workerData } = require('node:worker_threads');
  setInterval(() => process.ppid === workerData || process.kill(process.pid, 'SIGKILL'), ${POLL_MS});`;

/** What to put before a command so that it ends with its parent; nothing where only the command itself can watch. */
export function parentBinding(env: NodeJS.ProcessEnv): string[] {
  if (process.platform !== 'linux') return [];
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const setpriv = folders.map((folder) => join(folder, 'setpriv')).find(knowsTheOption);
  return setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL'];
}

/** Busybox has a setpriv that does not, and so had util-linux before 2.33. */
function knowsTheOption(setpriv: string): boolean {
  try {
    return readFileSync(setpriv).includes('pdeathsig');
  } catch {
    return false;
  }
}

/**
 * Kills this process once its parent is gone.
 * @param isBound by {@link parentBinding}: what is left to look for is a parent that died before that
 */
export function dieWithParent(parentPid: number, isBound: boolean): void {
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
  if (!isBound) new Worker(WATCH, { eval: true, workerData: parentPid }).unref();
}

/** Tells once, by the event loop of a process that is always ready to listen, that the parent is gone. */
export function onParentDeath(parentPid: number, tell: () => void): void {
  const timer = setInterval(() => {
    if (process.ppid === parentPid) return;
    clearInterval(timer);
    tell();
  }, POLL_MS).unref();
}
