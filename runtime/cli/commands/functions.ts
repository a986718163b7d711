/** `darkroom functions [NAME]`: which filters there are and what they take. */
import { Command } from 'commander';
import { closestName } from '../../closest-name.ts';
import { readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { listFunctions, loadFunction } from '../../functions.ts';
import { describeFunction } from '../describe-function.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { bold, print, printJson, printTable } from '../terminal.ts';

export function functionsCommand(): Command {
  const command = new Command('functions')
    .description('Lists the filters; with a NAME, that filter’s parameters with types, bounds and defaults.')
    .argument('[name]', 'a filter')
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      const { functionsDir } = readConfig();
      if (name === undefined) await list(functionsDir, options.json === true);
      else await show(name, functionsDir, options.json === true);
    });
  return conventional(command, 'darkroom functions blur');
}

async function list(functionsDir: string, json: boolean): Promise<void> {
  const filters = await Promise.all(
    listFunctions(functionsDir).map(async (name) => ({
      name,
      summary: await summaryOf(name, functionsDir),
    })),
  );
  if (json) return printJson(filters);
  printTable(
    ['Filter', 'What it does'],
    filters.map(({ name, summary }) => [name, summary]),
  );
}

/** One broken file does not hide the others. */
async function summaryOf(name: string, functionsDir: string): Promise<string> {
  try {
    return (await loadFunction(name, functionsDir)).summary;
  } catch (error) {
    process.exitCode = EXIT.failed;
    return `broken: ${asError(error).message}`;
  }
}

async function show(name: string, functionsDir: string, json: boolean): Promise<void> {
  const known = listFunctions(functionsDir);
  if (!known.includes(name)) {
    const near = closestName(name, known);
    throw new UserError(
      `There is no filter "${name}"${near ? `; did you mean "${near}"?` : '.'} There are ${known.join(', ')}.`,
    );
  }
  const filter = await loadFunction(name, functionsDir);
  const description = describeFunction(filter);
  if (json) return printJson({ name, ...description });
  print(`${bold(name)}  ${filter.summary}\n`);
  if (description.params.length === 0) return print('It takes no parameters.');
  printTable(
    ['Parameter', 'Expects', 'Default', 'Meaning'],
    description.params.map((param) => [
      param.name,
      param.accepts,
      param.default === undefined ? (param.required ? 'required' : '') : JSON.stringify(param.default),
      param.description,
    ]),
  );
}
