/** Ends the commands of this folder as `darkroom` ends: a mistake in one line with exit code 2, a fault with its stack. */
import { CommanderError } from 'commander';
import { EXIT } from '../../runtime/cli/exit-codes.ts';
import { asError, TaskFailure, UserError } from '../../runtime/errors.ts';

/** Runs `main` and gives its exit code, or that of what it throws, told on standard error. */
export async function runScript(main: () => Promise<number>): Promise<number> {
  try {
    return await main();
  } catch (thrown) {
    const error = asError(thrown);
    // Commander has told it already: a mistake, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const isMistake = error instanceof UserError || error instanceof TaskFailure || isParseArgsError(error);
    console.error(isMistake ? `error: ${error.message}` : error.stack);
    return isMistake ? EXIT.usage : EXIT.failed;
  }
}

/** Of node:util's parseArgs. */
function isParseArgsError(error: Error): boolean {
  return 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
