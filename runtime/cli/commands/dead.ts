/** `darkroom dead …`: what failed for good, why, and the way back. */
import { appendFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Broker } from '../../amqp/broker.ts';
import { type Config, readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { capText, redactText } from '../../redact.ts';
import { openStorage } from '../../storage/open.ts';
import type { GotMessage } from '../browse-queue.ts';
import { confirmed } from '../confirm.ts';
import type { DeadLetter } from '../dead-letter.ts';
import { removeLeftovers } from '../dead-letter-leftovers.ts';
import type { DeadLetterSelection } from '../dead-letter-selection.ts';
import { type DeadLetterQueue, eachDeadLetter, type LetterResult } from '../dead-letters.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional, wholeNumber } from '../option-values.ts';
import { replayLetters } from '../replay-letters.ts';
import { ourUsers, withBroker } from '../session.ts';
import { escapeControls, jsonText, print, printJson, printTable } from '../terminal.ts';

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
        .description('Shows one dead letter whole, with its message.')
        .argument('<id>', 'task id or message id')
        .action(show),
      'darkroom dead show 0198c1d2-…',
    ),
  );
  dead.addCommand(
    selecting(new Command('replay'), 'darkroom dead replay --reason storage --rate 20')
      .description(
        'Publishes the chosen letters to the step they failed in, attempts reset; each leaves the dead letters once its copy is confirmed. What cannot be replayed stays, with its reason. A letter that no user of the installation wrote (TRUSTED_USERS) starts from its first step.',
      )
      .option('--dry-run', 'only say what would be replayed')
      .option('--rate <n>', 'at most so many a second', wholeNumber(1))
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
      .description(
        'Removes the chosen letters for good, and the images that their tasks left between steps, where nothing else needs those.',
      )
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
    .option('--limit <n>', 'at most so many', wholeNumber(1));
  return conventional(command, example);
}

async function list(options: DeadOptions): Promise<void> {
  const config = readConfig();
  const results = await withBroker(config, (broker) =>
    eachDeadLetter(queueOf(config, broker), { limit: LISTED, ...options }),
  );
  const letters = results.map(({ letter }) => letter);
  if (options.json === true) return printJson(letters);
  if (letters.length === 0) return print('No dead letters.');
  printTable(
    ['Task', 'Filter', 'Failed at', 'Tries', 'Type', 'Reason'],
    letters.map(({ id, filter, failed_at, attempts, failure_type, reason }) =>
      [id, filter, failed_at ?? '', String(attempts || ''), failure_type, reason].map((cell) =>
        escapeControls(cell),
      ),
    ),
  );
}

async function show(id: string, options: { json?: boolean }): Promise<void> {
  const config = readConfig();
  let found: { letter: DeadLetter; message: GotMessage } | undefined;
  await withBroker(config, (broker) =>
    eachDeadLetter(queueOf(config, broker), { anyId: id, limit: 1 }, async (letter, message) => {
      found = { letter, message };
      return false;
    }),
  );
  if (found === undefined)
    throw new UserError(`There is no dead letter "${escapeControls(id)}". See darkroom dead list.`);
  const { letter, message } = found;
  const shown = { ...letter, headers: message.properties.headers, body: bodyText(message) };
  if (options.json === true) return printJson(shown);
  for (const [name, value] of Object.entries(shown)) {
    const text = typeof value === 'object' ? jsonText(value) : String(value);
    print(`${name.padEnd(NAME_CHARACTERS)} ${escapeControls(redactText(text))}`);
  }
}

async function replay(options: DeadOptions): Promise<void> {
  const { sent, stay, warning } = await replayLetters(readConfig(), options);
  const isDry = options.dryRun === true;
  if (stay.length > 0) process.exitCode = EXIT.failed;
  if (options.json === true)
    return printJson({
      dry_run: isDry,
      replayed: sent,
      skipped: stay.map(withWhy),
      warning: warning ?? null,
    });
  print(`${isDry ? 'Would replay' : 'Replayed'} ${sent.length} of ${sent.length + stay.length}.`);
  printFaults(stay, 'stays');
}

async function exportTo(file: string, options: DeadOptions): Promise<void> {
  const config = readConfig();
  await writeFile(file, '').catch((error: unknown) => {
    throw new UserError(`${file}: cannot be written: ${asError(error).message}.`, { cause: error });
  });
  const results = await withBroker(config, (broker) =>
    eachDeadLetter(queueOf(config, broker), options, async (letter, { body, properties }) => {
      await appendFile(file, `${jsonText({ ...letter, properties, body: body.toString('base64') })}\n`);
      return false;
    }),
  );
  const faults = results.filter(({ fault }) => fault !== undefined);
  const exported = results.length - faults.length;
  if (faults.length > 0) process.exitCode = EXIT.failed;
  if (options.json === true) return printJson({ exported, file, failed: faults.map(withWhy) });
  print(`Exported ${exported} letters to ${escapeControls(file)}. They stay in the queue.`);
  printFaults(faults, 'is not exported');
}

async function purge(options: DeadOptions): Promise<void> {
  const config = readConfig();
  const isDry = options.dryRun === true;
  if (!isDry && options.yes !== true) await confirmed('Remove the chosen dead letters for good?');
  const storage = await openStorage(config.storage.url);
  const kept: DeadLetter[] = [];
  const results = await withBroker(config, (broker) =>
    eachDeadLetter(
      queueOf(config, broker),
      options,
      async () => !isDry,
      (letter) => kept.push(letter),
    ),
  );
  const letters = results.map(({ letter }) => letter);
  const faults = isDry ? [] : await removeLeftovers(storage, letters, kept);
  if (faults.length > 0) process.exitCode = EXIT.failed;
  if (options.json === true)
    return printJson({ dry_run: isDry, purged: letters, failed: faults.map(withWhy) });
  print(`${isDry ? 'Would remove' : 'Removed'} ${letters.length} letters.`);
  printFaults(faults, 'is removed in part');
}

function queueOf(config: Config, broker: Broker): DeadLetterQueue {
  return { broker, prefix: config.prefix, isOurUser: ourUsers(config, broker) };
}

function withWhy({ letter, fault }: LetterResult) {
  return { ...letter, why: fault };
}

function printFaults(results: LetterResult[], what: string): void {
  for (const { letter, fault } of results) print(escapeControls(`${letter.id} ${what}: ${fault}`));
}

function bodyText({ body, properties }: GotMessage): string {
  const isText = !String(properties.contentType ?? '').startsWith('image/');
  return isText
    ? capText(body.toString('utf8', 0, BODY_CHARACTERS * 4), BODY_CHARACTERS)
    : `${body.length} bytes of ${properties.contentType}`;
}
