/** Somebody at a terminal who runs commands: no command may break, or print what the terminal would obey. */
import { EXIT } from '../../../runtime/cli/exit-codes.ts';
import { openTerminal } from '../../support/pseudo-terminal.ts';
import { LAUNCHER } from '../../support/run-program.ts';
import type { AuditedInstallation } from './audited-installation.ts';

const GOOD_CODES: readonly (number | null)[] = [EXIT.ok, EXIT.failed, EXIT.usage];
/** Control characters but for the line feed, separators of lines, and what turns the direction of text. */
const OBEYED = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;
const ESCAPE = '\x1b';
/** The colours and styles that Darkroom itself uses, and no others. */
const OUR_STYLES = new RegExp(`${ESCAPE}\\[(?:0|1|2|22|31|32|33|39)m`, 'g');

export class Operator {
  readonly faults: string[] = [];
  commands = 0;
  readonly #installation: AuditedInstallation;

  constructor(installation: AuditedInstallation) {
    this.#installation = installation;
  }

  /** @returns what the command printed */
  async run(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#installation.darkroom(...args);
    this.#judge(args, code, stdout + stderr);
    return stdout;
  }

  /** The same in a terminal, where there are colours too. */
  async runInTerminal(...args: string[]): Promise<void> {
    const { env } = this.#installation;
    await using terminal = openTerminal([process.execPath, LAUNCHER, ...args], { columns: 200, env });
    const code = await terminal.exited;
    this.#judge(args, code, terminal.output().replaceAll('\r\n', '\n').replace(OUR_STYLES, ''));
  }

  #judge(args: string[], code: number | null, text: string): void {
    this.commands++;
    const command = `darkroom ${JSON.stringify(args)}`;
    const obeyed = OBEYED.exec(text);
    if (!GOOD_CODES.includes(code)) this.faults.push(`${command} ended with ${code}: ${text.slice(-500)}`);
    if (obeyed !== null)
      this.faults.push(
        `${command} prints a control character: ${JSON.stringify(text.slice(Math.max(0, obeyed.index - 40), obeyed.index + 10))}`,
      );
  }
}
