/** Makes sure that what this process started does not outlive it, even when it is killed with -9. */

import { spawn } from 'node:child_process';

export interface Guardian {
  /** The clean-up is no longer needed, because it was done in good order. */
  dismiss(): void;
}

/**
 * Runs a shell script once this process has ended, however it ends. A small shell in a session of its own reads
 * from a pipe whose only writer is this process: the kernel closes it, the read ends, the script runs.
 * `args` are the script's $1, $2, …
 */
export function guard(script: string, ...args: string[]): Guardian {
  const shell = spawn('sh', ['-c', `read _\n${script}`, 'guardian', ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Neither may keep this process alive. A pipe that breaks on dismissal is no news.
  shell.unref();
  shell.stdin.on('error', () => {});
  if ('unref' in shell.stdin) (shell.stdin as unknown as { unref(): void }).unref();
  return { dismiss: () => void shell.kill('SIGKILL') };
}
