/** A program in a terminal of its own, by `script` of util-linux. */
import { spawn } from 'node:child_process';
import { until } from './until.ts';

export interface PseudoTerminal extends AsyncDisposable {
  /** All that the program has written, with its control characters. */
  output(): string;
  /** Resolves when the output holds this. */
  shows(text: string | RegExp, timeoutMs?: number): Promise<void>;
  /** Of the terminal, whose child is the program. */
  pid: number;
  /** Types; `\x03` is Ctrl-C, which the terminal turns into SIGINT for all processes in it. */
  type(keys: string): void;
  /** The program's exit code: 128 and the signal's number if it died of one. */
  exited: Promise<number | null>;
  /** Ends the terminal as closing its window does. */
  close(): Promise<unknown>;
}

/** @param command program and arguments */
export function openTerminal(
  command: string[],
  {
    columns = 80,
    rows = 24,
    env = process.env,
  }: { columns?: number; rows?: number; env?: NodeJS.ProcessEnv },
): PseudoTerminal {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const inside = `stty cols ${columns} rows ${rows}; exec ${quoted}`;
  const terminal = spawn('script', ['--quiet', '--return', '--flush', '--command', inside, '/dev/null'], {
    env: { ...env, TERM: 'xterm-256color' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  terminal.stdin.on('error', () => {});
  const exited = new Promise<number | null>((resolve) => terminal.once('close', resolve));
  const holds = (text: string | RegExp) =>
    typeof text === 'string' ? output.includes(text) : text.test(output);
  return {
    output: () => output,
    async shows(text, timeoutMs) {
      await until(() => holds(text), `"${text}"`, timeoutMs).catch((error: unknown) => {
        throw new Error(`the terminal shows only ${JSON.stringify(output)}`, { cause: error });
      });
    },
    pid: terminal.pid ?? 0,
    close() {
      terminal.kill('SIGKILL');
      return exited;
    },
    type: (keys) => void terminal.stdin.write(keys),
    exited,
    async [Symbol.asyncDispose]() {
      terminal.kill('SIGKILL');
      await exited;
    },
  };
}
