/** A program that runs in the background and ends with this process, however that ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** The shell's input is a pipe of which this process holds the other end. */
const LIFELINE = '"$@" & read _; kill $!; wait $!';
const START_TIMEOUT_MS = 30_000;

export class Service implements AsyncDisposable {
  readonly #process: ChildProcess;

  constructor(command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    this.#process = spawn('sh', ['-c', LIFELINE, 'sh', command, ...args], {
      env: { ...process.env, ...env },
      stdio: 'pipe',
    });
  }

  /** Resolves at the first line that matches. @throws Error with the last lines when there is none */
  async saying(wanted: RegExp): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const said: string[] = [];
    for (const stream of [this.#process.stdout!, this.#process.stderr!])
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        if (said.length > 20) said.shift();
        if (wanted.test(line)) resolve();
      });
    const timer = setTimeout(() => reject(new Error(said.join('\n'))), START_TIMEOUT_MS);
    await promise.finally(() => clearTimeout(timer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.stdin!.end();
    await gone;
  }
}

/** Whether a program runs through, such as one that prints its version. */
export async function runs(command: string, ...args: string[]): Promise<boolean> {
  return await promisify(execFile)(command, args).then(
    () => true,
    () => false,
  );
}
