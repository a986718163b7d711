/** `darkroom publish`: tasks from the command line, with the wait for their results. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command } from 'commander';
import { type Config, readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import { humanSize } from '../../units.ts';
import { findPhotos, outputFolder, resultNamer } from '../photos.ts';
import { declareAll, withBroker } from '../session.ts';
import {
  encodingOf,
  type StepOptions,
  seconds,
  stepsOf,
  wholeNumber,
  withStepOptions,
} from '../step-options.ts';
import { createPublisher, type Outcome, type Publisher, type Submission } from '../task-client.ts';
import { conventional, note, printJson, printTable, progress } from '../terminal.ts';

interface PublishOptions extends StepOptions {
  wait?: boolean | string;
  output?: string;
  id?: string;
  key?: string;
  priority?: number;
  json?: boolean;
}

export function publishCommand(): Command {
  const command = withStepOptions(new Command('publish'))
    .description(
      'Uploads each PHOTO (file, folder, glob, storage key, s3:// or https:// URL) and publishes its task; resolves when the broker has confirmed.',
    )
    .argument('[photo...]', 'photos')
    .option('-w, --wait [seconds]', 'wait for the results, at most so long')
    .option('-o, --output <folder>', 'fetch the results into this folder (implies --wait)')
    .option('--id <id>', 'the task’s id: publishing it again changes nothing (one photo only)')
    .option(
      '--key <key>',
      'where in the storage the result goes (one photo only; default: out/<id>.<extension>)',
    )
    .option('--priority <0-255>', 'message priority', wholeNumber(0, 255))
    .action(publish);
  return conventional(command, 'darkroom publish photos/*.jpg --step resize:width=800 --wait -o results/');
}

async function publish(args: string[], options: PublishOptions): Promise<void> {
  const config = readConfig();
  const steps = stepsOf(options);
  // `--wait photo.jpg`: the seconds were left out.
  if (typeof options.wait === 'string' && existsSync(options.wait)) {
    args.unshift(options.wait);
    options.wait = true;
  }
  const photos = (await Promise.all(args.map(photosOf))).flat();
  if (photos.length === 0) throw new UserError('Say which photos to publish.');
  if (photos.length > 1 && (options.id !== undefined || options.key !== undefined))
    throw new UserError(`--id and --key are for one photo; there are ${photos.length}.`);
  const waits = options.wait !== undefined || options.output !== undefined;
  const waitSeconds = typeof options.wait === 'string' ? seconds('--wait', options.wait) : undefined;
  if (options.output !== undefined) await outputFolder(options.output);
  const output = { ...encodingOf(options), ...(options.key !== undefined && { key: options.key }) };
  const storage = await openStorage(config.storage.url);
  await withBroker(config, async (broker) => {
    await declareAll(broker, config);
    const publisher = await createPublisher(broker, storage, config);
    const task = {
      steps,
      output,
      ...(options.id !== undefined && { id: options.id }),
      ...(options.priority !== undefined && { priority: options.priority }),
    };
    const submissions = await submitAll(publisher, photos, task);
    if (!waits) return reportSubmissions(submissions, options.json === true);
    const outcomes = await waitForAll(publisher, submissions, waitSeconds);
    const files =
      options.output === undefined ? undefined : await fetchAll(storage, outcomes, options.output);
    reportOutcomes(outcomes, files, options.json === true, config);
  });
}

/** Keys and URLs pass as they are; the publisher looks at them. */
async function photosOf(arg: string): Promise<string[]> {
  if (/^(s3|https):\/\//.test(arg)) return [arg];
  return await findPhotos([arg]).catch((error: unknown) => {
    if (/[*?[{]/.test(arg)) throw error;
    return [arg];
  });
}

async function submitAll(
  publisher: Publisher,
  photos: string[],
  task: Parameters<Publisher['submit']>[1],
): Promise<Submission[]> {
  const bar = progress(photos.length, 'published');
  const submissions: Submission[] = [];
  for (const photo of photos) {
    submissions.push(await publisher.submit(photo, task));
    bar.update(submissions.length, basename(photo));
  }
  bar.stop();
  return submissions;
}

async function waitForAll(
  publisher: Publisher,
  submissions: Submission[],
  waitSeconds: number | undefined,
): Promise<Outcome[]> {
  const signal = waitSignal(waitSeconds);
  const bar = progress(submissions.length, 'done');
  let done = 0;
  const waiting = (reason: string) => bar.update(done, reason);
  try {
    return await Promise.all(
      submissions.map(async (submission) => {
        const outcome = await publisher.outcome(submission, waiting, signal);
        bar.update(++done, submission.photo);
        return outcome;
      }),
    );
  } finally {
    bar.stop();
  }
}

function waitSignal(seconds: number | undefined): AbortSignal | undefined {
  if (seconds === undefined) return undefined;
  const abort = new AbortController();
  setTimeout(
    () =>
      abort.abort(
        new UserError(
          `Not all tasks ended within ${seconds} s. They stay queued: darkroom status ID says where.`,
        ),
      ),
    seconds * 1_000,
  ).unref();
  return abort.signal;
}

async function fetchAll(storage: Storage, outcomes: Outcome[], folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const nameResult = resultNamer();
  for (const { id, photo, data } of outcomes) {
    const key = resultOf(data)?.key;
    if (key === undefined) continue;
    const file = join(folder, nameResult(photo, key.split('.').at(-1) ?? 'bin'));
    await writeFile(file, await storage.read(key));
    files.set(id, file);
  }
  return files;
}

/** What a completed task's final event says of its result. */
export function resultOf(
  data: Record<string, unknown>,
):
  | { key: string; format: string; bytes: number; width?: number; height?: number; json?: unknown }
  | undefined {
  return data.output as ReturnType<typeof resultOf>;
}

function reportSubmissions(submissions: Submission[], json: boolean): void {
  if (json) return printJson(submissions.map(({ fingerprint: _, ...shown }) => shown));
  printTable(
    ['Task', 'Photo', 'Input'],
    submissions.map(({ id, photo, input }) => [id, photo, input]),
  );
}

function reportOutcomes(
  outcomes: Outcome[],
  files: Map<string, string> | undefined,
  json: boolean,
  config: Config,
): void {
  const failed = outcomes.filter(({ outcome }) => outcome !== 'completed').length;
  if (failed > 0) process.exitCode = 1;
  if (json) return printJson(outcomes.map((outcome) => ({ ...outcome, file: files?.get(outcome.id) })));
  printTable(
    ['Task', 'Photo', 'Before', 'After', 'Result'],
    outcomes.map(({ id, photo, bytes, outcome, data }) => {
      const result = resultOf(data);
      const where = files?.get(id) ?? result?.key ?? '';
      return [
        id,
        photo,
        bytes === null ? '' : humanSize(bytes),
        result ? humanSize(result.bytes) : '',
        outcome === 'completed' ? where : `${outcome}: ${data.failure_reason ?? ''}`,
      ];
    }),
  );
  if (failed > 0)
    note(
      `${failed} of ${outcomes.length} failed; darkroom dead list shows what is kept in ${config.prefix}.dead.`,
    );
}
