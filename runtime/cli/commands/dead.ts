/** `darkroom dead …`: what failed for good, why, and the way back. */
import { appendFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { Broker } from '../../amqp/broker.ts';
import type { GotMessage } from '../../amqp/browse-queue.ts';
import { names } from '../../amqp/topology.ts';
import { type Config, readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { listFunctions } from '../../functions.ts';
import { openStorage } from '../../storage/open.ts';
import { HEADERS } from '../../task/task.ts';
import { intermediatesFolder } from '../../task/task-marker.ts';
import { type DeadLetter, eachDeadLetter, type Selection } from '../dead-letters.ts';
import { withBroker } from '../session.ts';
import { wholeNumber } from '../step-options.ts';
import { conventional, print, printJson, printTable, progress } from '../terminal.ts';

interface DeadOptions extends Selection {
  json?: boolean;
  dryRun?: boolean;
  rate?: number;
  yes?: boolean;
}

/** Headers that tell of the failure, and that a replay starts without. */
const DEATH_HEADERS =
  /^(x-death|x-first-death-.*|x-last-death-.*|x-delivery-count|darkroom-(failure-type|failure-reason|failed-at|attempts|worker|filter|first-failed-ms))$/;

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
        'Publishes the chosen letters to the step they failed in, attempts reset; each leaves the dead letters once its copy is confirmed.',
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
    .option('--limit <n>', 'at most so many', wholeNumber(1));
  return conventional(command, example);
}

async function list(options: DeadOptions): Promise<void> {
  const config = readConfig();
  const letters = await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, { limit: 100, ...options }),
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
      letter.reason.slice(0, 100),
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
  for (const [name, value] of Object.entries(shown))
    print(`${name.padEnd(16)} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
}

async function replay(options: DeadOptions): Promise<void> {
  const config = readConfig();
  const known = listFunctions(config.functionsDir);
  const skipped: DeadLetter[] = [];
  const bar = progress(options.limit ?? 0, 'replayed');
  let done = 0;
  const letters = await withBroker(config, (broker) =>
    eachDeadLetter(broker, config.prefix, options, async (letter, message) => {
      if (!known.includes(letter.filter)) return skipped.push(letter) === 0;
      if (options.dryRun === true) return false;
      await republish(broker, config, letter, message);
      bar.update(++done, letter.id);
      if (options.rate !== undefined) await sleep(1_000 / options.rate);
      return true;
    }),
  );
  bar.stop();
  const replayed = letters.filter((letter) => !skipped.includes(letter));
  if (options.json === true) return printJson({ dry_run: options.dryRun === true, replayed, skipped });
  print(`${options.dryRun === true ? 'Would replay' : 'Replayed'} ${replayed.length} of ${letters.length}.`);
  for (const { id, filter } of skipped) print(`${id} stays: there is no filter "${filter}" to send it to.`);
}

/** To the step where it failed. It stays a dead letter unless the broker confirms. */
async function republish(
  broker: Broker,
  config: Config,
  letter: DeadLetter,
  message: GotMessage,
): Promise<void> {
  const { properties, body } = message;
  const kept = Object.entries((properties.headers ?? {}) as Record<string, unknown>).filter(
    ([name]) => !DEATH_HEADERS.test(name),
  );
  await broker.publish({
    exchange: '',
    routingKey: names(config.prefix).queue(letter.filter),
    mandatory: true,
    body,
    properties: {
      ...properties,
      expiration: undefined,
      persistent: true,
      headers: {
        ...Object.fromEntries(kept),
        [HEADERS.attempt]: 0,
        [HEADERS.generation]: letter.generation + 1,
        [HEADERS.published]: Date.now(),
        'darkroom-replayed-from': `${letter.failed_at ?? 'unknown time'}: ${letter.failure_type}`,
      },
    },
  });
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
  else print(`Exported ${letters.length} letters to ${file}; they stay in the queue.`);
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

/** @throws UserError unless a person says yes; without a terminal only --yes does */
export async function confirmed(question: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UserError(`${question} Say --yes to go ahead without being asked.`);
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${question} [y/N] `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UserError('Nothing was removed.');
}

function bodyText({ body, properties }: GotMessage): string {
  const isText = !String(properties.contentType ?? '').startsWith('image/');
  return isText
    ? body.toString('utf8').slice(0, 10_000)
    : `${body.length} bytes of ${properties.contentType}`;
}
