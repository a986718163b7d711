/** Asks before something is removed for good. */
import { createInterface } from 'node:readline/promises';
import { UserError } from '../errors.ts';

/** @throws UserError unless a person says yes; without a terminal only --yes does */
export async function confirmed(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UserError(`${question} Say --yes to go ahead without being asked.`);
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${question} [y/N] `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UserError('Nothing was removed.');
}
