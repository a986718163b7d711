/** Keeps what a process was told in its environment from its neighbours. Plain JavaScript, so that an older Node can read it. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/**
 * Linux shows the environment that a process was started with to every process of the same user, such as those that run
 * filters, and deleting a variable does not change that. So all variables move elsewhere, and their first place is
 * overwritten. Where the kernel does not let a process write there, it stays as it is.
 */
export function hideEnvironment() {
  if (process.platform !== 'linux') return;
  try {
    for (const [name, value] of Object.entries(process.env)) process.env[name] = value;
    // env_start and env_end, counted from the third field: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1).split(' ');
    const [start, end] = [Number(fields[47]), Number(fields[48])];
    const memory = openSync('/proc/self/mem', 'r+');
    writeSync(memory, Buffer.alloc(end - start), 0, end - start, start);
    closeSync(memory);
  } catch {
    // The README says what a filter can read then.
  }
}
