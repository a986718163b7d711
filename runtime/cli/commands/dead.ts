/** `darkroom dead …`: what failed for good, why, and how to try it again. */
import { appendFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { GotMessage } from '../../amqp/browse-queue.ts';
import { readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { listFunctions } from '../../functions.ts';
import { openStorage } from '../../storage/open.ts';
import { intermediatesFolder } from '../../task/task-marker.ts';
import { confirmed } from '../confirm.ts';
import type { DeadLetter } from '../dead-letter.ts';
import type { DeadLetterSelection } from '../dead-letter-selection.ts';
import { eachDeadLetter, replayOf } from '../dead-letters.ts';
import { conventional, wholeNumber } from '../option-values.ts';
import { ProgressBar } from '../progress-bar.ts';
import { withBroker } from '../session.ts';
import { escapeControls, print, printJson, printTable } from '../terminal.ts';

interface DeadOptions extends DeadLetterSelection {
  json?: boolean;
  dryRun?: boolean;
  rate?: number;
  yes?: boolean;
}

const LISTED = 100;
const NAME_CHARACTERS = 16;
const BODY_CHARACTERS = 10_000;

export function deadCommand(): Command {
  const dead = new Command('dead').description(
    'Dead letters: tasks that failed for good, kept with their reason until they are replayed or purged.',
  );
  dead.addCommand(
    selecting(new Command('list'), 'darkroom dead list --filter blur --older-than 1h')
      .description('Lists dead letters, oldest first (at most 100 unless --limit).')
      .action(list),
  );
  dead.addCommand(
    conventional(
      new Command('show')
        .description('Shows all of one dead letter, with its message.')
        .argument('<id>', 'task id or message id')
        .action(show),
      'darkroom dead show 0198c1d2-…',
    ),
  );
  dead.addCommand(
    selecting(new Command('replay'), 'darkroom dead replay --reason storage --rate 20')
      .description(
        'Publishes the chosen letters to the step they failed in, with attempts reset. Each is removed once its copy is confirmed.',
      )
      .option('--dry-run', 'only say what would be replayed')
      .option('--rate <n>', 'at most this many a second', wholeNumber(1))
      .action(replay),
  );
  dead.addCommand(
    selecting(
      new Command('export').argument('<file>', 'JSON lines, one letter each, the body in base64'),
      'darkroom dead export letters.jsonl',
    )
      .description('Writes the chosen letters to a file; they stay in the queue.')
      .action(exportTo),
  );
  dead.addCommand(
    selecting(new Command('purge'), 'darkroom dead purge --filter blur --older-than 30d --yes')
      .description('Removes the chosen letters, and the images they left between steps, for good.')
      .option('--dry-run', 'only say what would be removed')
      .option('--yes', 'do not ask')
      .action(purge),
  );
  return dead.addHelpText('after', '\nExample:\n  $ darkroom dead list');
}

function selecting(command: Command, example: string): Command {
  command
    .option('--filter <name>', 'only letters of this filter')
    .option('--reason <text>', 'only this failure type, or reasons that contain this text')
    .option('--older-than <duration>', 'only letters that failed longer ago, such as 1h')
    .option('--newer-than <duration>', 'only letters that failed since, such as 30m')
    .option('--id <id>', 'only this task')
    .option('--limit <n>', 'at most this many', wholeNumber(1));
  return conventional(command, example);
}

async function list(options: DeadOptions): Promise<void> {
  const config = readConfig();
  const letters = await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, { limit: LISTED, ...options }),
  );
  if (options.json === true) return printJson(letters);
  if (letters.length === 0) return print('No dead letters.');
  printTable(
    ['Task', 'Filter', 'Failed at', 'Tries', 'Type', 'Reason'],
    letters.map((letter) => [
      letter.id,
      letter.filter,
      letter.failed_at ?? '',
      letter.attempts || '',
      letter.failure_type,
      letter.reason,
    ]),
  );
}

async function show(id: string, options: { json?: boolean }): Promise<void> {
  const config = readConfig();
  let found: { letter: DeadLetter; message: GotMessage } | undefined;
  await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, { id, limit: 1 }, async (letter, message) => {
      found = { letter, message };
      return false;
    }),
  );
  if (found === undefined) throw new UserError(`There is no dead letter "${id}". See darkroom dead list.`);
  const { letter, message } = found;
  const shown = { ...letter, headers: message.properties.headers, body: bodyText(message) };
  if (options.json === true) return printJson(shown);
  for (const [name, value] of Object.entries(shown)) {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    print(`${name.padEnd(NAME_CHARACTERS)} ${escapeControls(text)}`);
  }
}

async function replay(options: DeadOptions): Promise<void> {
  const config = readConfig();
  const known = listFunctions(config.functionsDir);
  const skipped: DeadLetter[] = [];
  const bar = new ProgressBar(options.limit ?? 0, 'replayed');
  let done = 0;
  const letters = await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, options, async (letter, message) => {
      if (!known.includes(letter.filter)) return skipped.push(letter) === 0;
      if (options.dryRun === true) return false;
      // It stays a dead letter unless the broker confirms.
      await broker.publish(replayOf(letter, message, config.prefix));
      bar.update(++done, letter.id);
      if (options.rate !== undefined) await sleep(1_000 / options.rate);
      return true;
    }),
  );
  bar.stop();
  const replayed = letters.filter((letter) => !skipped.includes(letter));
  if (options.json === true) return printJson({ dry_run: options.dryRun === true, replayed, skipped });
  print(`${options.dryRun === true ? 'Would replay' : 'Replayed'} ${replayed.length} of ${letters.length}.`);
  for (const { id, filter } of skipped)
    print(escapeControls(`${id} stays: there is no filter "${filter}" to send it to.`));
}

async function exportTo(file: string, options: DeadOptions): Promise<void> {
  const config = readConfig();
  await writeFile(file, '').catch((error: unknown) => {
    throw new UserError(`${file}: cannot be written: ${asError(error).message}.`, { cause: error });
  });
  const letters = await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, options, async (letter, { body, properties }) => {
      await appendFile(file, `${JSON.stringify({ ...letter, properties, body: body.toString('base64') })}\n`);
      return false;
    }),
  );
  if (options.json === true) printJson({ exported: letters.length, file });
  else print(`Exported ${letters.length} letters to ${file}. They stay in the queue.`);
}

async function purge(options: DeadOptions): Promise<void> {
  const config = readConfig();
  if (options.dryRun !== true && options.yes !== true)
    await confirmed('Remove the chosen dead letters for good?');
  const storage = await openStorage(config.storage.url);
  const letters = await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, options, async (letter) => {
      if (options.dryRun === true) return false;
      await storage.removeAll(intermediatesFolder(letter.id));
      return true;
    }),
  );
  if (options.json === true) printJson({ dry_run: options.dryRun === true, purged: letters });
  else print(`${options.dryRun === true ? 'Would remove' : 'Removed'} ${letters.length} letters.`);
}

function bodyText({ body, properties }: GotMessage): string {
  const isText = !String(properties.contentType ?? '').startsWith('image/');
  return isText
    ? body.toString('utf8').slice(0, BODY_CHARACTERS)
    : `${body.length} bytes of ${properties.contentType}`;
}
