/** A process that does a piece of work for each line it is given, and answers each with one line of JSON. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface AskedProcessOptions {
  env?: NodeJS.ProcessEnv;
  /** The only processor that it may use. */
  cpu?: number | undefined;
  /** False: what it says is thrown away; default true. */
  isHeard?: boolean;
}

export class AskedProcess<Answer> implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string> | undefined;
  #errors = '';

  constructor(command: string, args: string[], { env = {}, cpu, isHeard = true }: AskedProcessOptions = {}) {
    const held = cpu === undefined ? [] : ['taskset', '-c', String(cpu)];
    const [program, ...rest] = [...held, command, ...args] as [string, ...string[]];
    const started = spawn(program, rest, { env: { ...process.env, ...env }, stdio: 'pipe' });
    started.stderr.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text).slice(-2_000);
    });
    this.#process = started;
    if (!isHeard) started.stdout.resume();
    else this.#lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** @throws Error with what it wrote to standard error when it ends instead */
  async ask(line: string | number): Promise<Answer> {
    this.#process.stdin!.write(`${line}\n`);
    return JSON.parse(await this.next()) as Answer;
  }

  /** The next line that it says, unasked. */
  async next(): Promise<string> {
    const { value, done } = await this.#lines!.next();
    if (done) throw new Error(`${this.#process.spawnargs.join(' ')} has ended: ${this.#errors}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill();
    await gone;
  }
}

/** The other side: answers each line of standard input; ends when there are no more. */
export async function answerLines(answer: (line: string) => Promise<unknown>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin }))
    console.log(JSON.stringify(await answer(line)));
}
