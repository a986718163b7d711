/** `darkroom publish`: tasks from the command line, with the wait for their results. */
import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Command } from 'commander';
import { type Config, readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import { humanSize } from '../../units.ts';
import type { SubmittedTask, TaskOutcome } from '../end-watch.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional, seconds, wholeNumber } from '../option-values.ts';
import { findPhotos, outputFolder, resultNamer } from '../photos.ts';
import { ProgressBar } from '../progress-bar.ts';
import { replaceFile } from '../replace-file.ts';
import { declareIfAllowed, withBroker } from '../session.ts';
import { abortAfter, stopSignal } from '../signals.ts';
import { encodingOf, type StepOptions, stepsOf, withStepOptions } from '../step-options.ts';
import { TaskClient, type TaskRequest } from '../task-client.ts';
import { resultOf } from '../task-result.ts';
import { escapeControls, note, print, printJson, printTable } from '../terminal.ts';

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
      'Uploads each PHOTO (file, folder, glob, storage key, s3:// or https:// URL) and publishes its task. Returns when the broker has confirmed.',
    )
    .argument('[photo...]', 'photos')
    .option('-w, --wait [seconds]', 'wait for the results, at most this long')
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
    // Until here a signal ends the process at once: there is nothing to tell yet.
    const stop = stopSignal();
    await declareIfAllowed(broker, config);
    const client = await TaskClient.open(broker, storage, config);
    const task = {
      steps,
      output,
      ...(options.id !== undefined && { id: options.id }),
      ...(options.priority !== undefined && { priority: options.priority }),
    };
    const submissions = await submitAll(client, photos, task, stop);
    if (stop.aborted) return reportInterrupted(submissions, photos, options.json === true);
    if (!waits) return reportSubmissions(submissions, options.json === true);
    const outcomes = await waitForAll(client, submissions, waitSeconds, stop);
    if (outcomes === undefined) return reportInterrupted(submissions, photos, options.json === true);
    const fetched =
      options.output === undefined ? undefined : await fetchAll(storage, outcomes, options.output);
    reportOutcomes(outcomes, fetched, options.json === true, config);
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

/** @returns those that are published, which are not all once `stop` is aborted */
async function submitAll(
  client: TaskClient,
  photos: string[],
  request: TaskRequest,
  stop: AbortSignal,
): Promise<SubmittedTask[]> {
  const bar = new ProgressBar(photos.length, 'published');
  const submissions: SubmittedTask[] = [];
  for (const photo of photos) {
    if (stop.aborted) break;
    submissions.push(await client.submit(photo, request));
    bar.update(submissions.length, basename(photo));
  }
  bar.stop();
  return submissions;
}

/** @returns undefined once `stop` is aborted */
async function waitForAll(
  client: TaskClient,
  submissions: SubmittedTask[],
  waitSeconds: number | undefined,
  stop: AbortSignal,
): Promise<TaskOutcome[] | undefined> {
  const late = new UserError(
    `Not all tasks ended within ${waitSeconds} s. They stay queued: darkroom status ID says where.`,
  );
  const signal =
    waitSeconds === undefined ? stop : AbortSignal.any([stop, abortAfter(waitSeconds * 1_000, late)]);
  const bar = new ProgressBar(submissions.length, 'done');
  let done = 0;
  const onWaiting = (reason: string) => bar.update(done, reason);
  try {
    return await Promise.all(
      submissions.map(async (submission) => {
        const outcome = await client.outcome(submission, onWaiting, signal);
        bar.update(++done, submission.photo);
        return outcome;
      }),
    );
  } catch (error) {
    if (stop.aborted) return undefined;
    throw error;
  } finally {
    bar.stop();
  }
}

/** By the tasks' ids. */
interface Fetched {
  files: Map<string, string>;
  /** Why a result is not here. */
  faults: Map<string, string>;
}

/** Writes the results into a folder, each for itself. */
async function fetchAll(storage: Storage, outcomes: TaskOutcome[], folder: string): Promise<Fetched> {
  const fetched: Fetched = { files: new Map(), faults: new Map() };
  const nameResult = resultNamer();
  for (const outcome of outcomes) {
    const result = resultOf(outcome);
    if (result === undefined) continue;
    const file = join(folder, nameResult(outcome.photo, extname(result.key).slice(1) || result.format));
    try {
      await replaceFile(file, await storage.read(result.key));
      fetched.files.set(outcome.id, file);
    } catch (thrown) {
      fetched.faults.set(outcome.id, asError(thrown).message);
    }
  }
  return fetched;
}

function reportInterrupted(submissions: SubmittedTask[], photos: string[], json: boolean): void {
  process.exitCode = EXIT.interrupted;
  note(
    `Interrupted. ${submissions.length} of ${photos.length} tasks are published, and stay so: darkroom status ID says where they are, darkroom cancel ID stops one.`,
  );
  reportSubmissions(submissions, json);
}

function reportSubmissions(submissions: SubmittedTask[], json: boolean): void {
  if (json) return printJson(submissions.map(({ task: _, ...shown }) => shown));
  printTable(
    ['Task', 'Photo', 'Input'],
    submissions.map(({ id, photo, input }) => [id, photo, input]),
  );
}

function reportOutcomes(
  outcomes: TaskOutcome[],
  { files, faults }: Fetched = { files: new Map(), faults: new Map() },
  json: boolean,
  config: Config,
): void {
  const failed = outcomes.filter(({ outcome }) => outcome !== 'completed');
  if (failed.length + faults.size > 0) process.exitCode = EXIT.failed;
  if (json)
    return printJson(
      outcomes.map((task) => ({ ...task, file: files.get(task.id), not_fetched: faults.get(task.id) })),
    );
  printTable(
    ['Task', 'Photo', 'Before', 'After', 'Result'],
    outcomes.map((task) => {
      const result = resultOf(task);
      const where = files.get(task.id) ?? result?.key ?? '';
      return [
        task.id,
        task.photo,
        task.bytes === null ? '' : humanSize(task.bytes),
        result ? humanSize(result.bytes) : '',
        task.outcome === 'completed' ? escapeControls(where) : task.outcome,
      ];
    }),
  );
  for (const { id, outcome, data } of failed)
    print(escapeControls(`${id} ${outcome}: ${data.failure_reason ?? ''}`));
  for (const [id, why] of faults) print(escapeControls(`${id} is completed, but not fetched: ${why}`));
  if (failed.length > 0)
    note(
      `${failed.length} of ${outcomes.length} failed; darkroom dead list shows what is kept in ${config.prefix}.dead.`,
    );
}
