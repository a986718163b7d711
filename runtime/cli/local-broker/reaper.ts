/** Makes sure that what this process started does not outlive it, even when it is killed with -9. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Reaper {
  /** One line for the script, as its $told: what must not stand in an environment or a command line. */
  tell(line: string): void;
  /** The clean-up is no longer needed, because it was done already. */
  dismiss(): void;
}

/**
 * Runs a shell script once this process has ended, however it ends. A small shell in a session of its own reads
 * from a pipe whose only writer is this process: the kernel closes it, the read ends, the script runs.
 * `args` are the script's $1, $2, …
 */
export function startReaper(script: string, ...args: string[]): Reaper {
  // A filter could read it there.
  const { AMQP_URL: _, AMQP_MANAGEMENT_URL: __, ...env } = process.env;
  const shell = spawn('sh', ['-c', `IFS= read -r told; read _\n${script}`, 'darkroom-reaper', ...args], {
    detached: true,
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Neither may keep this process alive. A pipe that breaks on dismissal is expected.
  shell.unref();
  shell.stdin.on('error', () => {});
  if ('unref' in shell.stdin) (shell.stdin as unknown as { unref(): void }).unref();
  return {
    tell: (line) => void shell.stdin.write(`${line}\n`),
    dismiss: () => void shell.kill('SIGKILL'),
  };
}

/** A new temporary folder, this user's alone, whose reaper starts before it is made; the script's $1 is its path. */
export async function reapedFolder(
  prefix: string,
  script: string,
): Promise<{ folder: string; reaper: Reaper }> {
  const folder = join(tmpdir(), `${prefix}${randomBytes(6).toString('hex')}`);
  const reaper = startReaper(script, folder);
  try {
    await mkdir(folder, { mode: 0o700 });
    return { folder, reaper };
  } catch (error) {
    reaper.dismiss();
    throw error;
  }
}
