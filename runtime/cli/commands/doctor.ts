/** `darkroom doctor`: what is wrong, and how to fix it. */
import { Command } from 'commander';
import { type Config, readConfig } from '../../config.ts';
import { asError } from '../../errors.ts';
import { brokerChecks } from '../doctor/broker-checks.ts';
import type { Check } from '../doctor/check.ts';
import {
  filtersCheck,
  imageLibraryCheck,
  machineCheck,
  memoryCheck,
  nodeCheck,
  storageCheck,
} from '../doctor/checks.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { escapeControls, green, print, printJson, red, yellow } from '../terminal.ts';

const NAME_CHARACTERS = 14;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description(
      'Checks Node, configuration, memory, filters, storage and its promises, broker, rights, queues, and whom workers believe. Exit code 1 when something is wrong.',
    )
    .action(async (options: { json?: boolean }) => {
      const checks = await examine();
      if (checks.some(({ verdict }) => verdict === 'failed')) process.exitCode = EXIT.failed;
      if (options.json === true) return printJson(checks);
      const marks = { ok: green('✓'), warning: yellow('!'), failed: red('✗') };
      for (const { name, verdict, found, fix } of checks) {
        print(`${marks[verdict]} ${name.padEnd(NAME_CHARACTERS)} ${escapeLines(found)}`);
        if (fix !== undefined) print(`  ${' '.repeat(NAME_CHARACTERS)} → ${fix}`);
      }
    });
  return conventional(command, 'darkroom doctor');
}

async function examine(): Promise<Check[]> {
  const checks = [nodeCheck(), machineCheck()];
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    const fix = 'set the variables right; the README lists them all';
    return [...checks, { name: 'configuration', verdict: 'failed', found: asError(error).message, fix }];
  }
  checks.push({
    name: 'configuration',
    verdict: 'ok',
    found: 'every variable is valid, and the chain of times holds',
  });
  checks.push(memoryCheck(config));
  checks.push(...(await Promise.all([imageLibraryCheck(), filtersCheck(config), storageCheck(config)])));
  return [...checks, ...(await brokerChecks(config))];
}

/** The faults of a configuration stand on lines of their own. */
function escapeLines(text: string): string {
  return text
    .split('\n')
    .map((line) => escapeControls(line))
    .join('\n');
}
