/** `darkroom run`: the same filters in this process, without a broker. Same task, same bytes. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { asError, UserError } from '../../errors.ts';
import { planTask } from '../../image/pipeline.ts';
import { humanDuration, humanSize } from '../../units.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional, positiveWhole } from '../option-values.ts';
import { findPhotos, outputFolder } from '../photos.ts';
import { ProgressBar } from '../progress-bar.ts';
import { replaceFile } from '../replace-file.ts';
import { defaultJobs } from '../run/job-count.ts';
import type { RenderedPhoto } from '../run/render-photo.ts';
import { renderPhotos } from '../run/render-photos.ts';
import { orderedNamer } from '../run/result-order.ts';
import { checkExtension, encodingOf, type StepOptions, stepsOf, withStepOptions } from '../step-options.ts';
import { escapeControls, print, printJson, printTable } from '../terminal.ts';

interface RunOptions extends StepOptions {
  output?: string;
  json?: boolean;
  jobs?: number;
}

/** What became of one photo. */
interface PhotoResult {
  photo: string;
  output?: string;
  format?: string;
  width?: number;
  height?: number;
  bytes_before: number;
  bytes_after?: number;
  ms: number;
  result?: unknown;
  error?: string;
}

export function runCommand(): Command {
  const command = withStepOptions(new Command('run'))
    .description(
      'Runs the steps over each PHOTO (file, folder or glob) here, without a broker. The result is the same, byte for byte, as a worker’s.',
    )
    .argument('<photo...>', 'photos, folders or globs')
    .option(
      '-o, --output <file|folder>',
      'where the result goes; a folder for several photos (default: ./darkroom-results)',
    )
    .option(
      '--jobs <number>',
      'photos at a time (default: as many as there are processors, and as fit into memory)',
      positiveWhole,
    )
    .action(run);
  return conventional(
    command,
    'darkroom run photo.jpg --step resize:width=800,height=600 --step blur:radius=3 -o out.webp',
    'darkroom run photos/ --step grayscale -o grey/',
  );
}

async function run(args: string[], options: RunOptions): Promise<void> {
  const config = readConfig();
  const steps = stepsOf(options);
  const photos = await findPhotos(args);
  const file = await singleOutput(options.output, photos);
  if (file !== undefined) checkExtension(file, options);
  const task = { steps, output: encodingOf(options, file) };
  const plan = await planTask(task, config.functionsDir);
  const folder = file === undefined ? resolve(options.output ?? 'darkroom-results') : dirname(resolve(file));
  await outputFolder(folder);
  const bar = new ProgressBar(photos.length, photos.length === 1 ? 'photo' : 'photos');
  const outcomes: PhotoResult[] = [];
  let done = 0;
  const nameResult = orderedNamer(photos);
  await renderPhotos(photos, {
    task,
    plan,
    functionsDir: config.functionsDir,
    limits: config.limits,
    jobs: options.jobs ?? defaultJobs(config.limits),
    onStart: (photo) => bar.update(done, basename(photo)),
    onEnd: async (index, rendered) => {
      const name = await nameResult(index, rendered.file?.extension);
      const output = name === undefined ? undefined : (file ?? join(folder, name));
      outcomes[index] = await keepResult(photos[index]!, rendered, output);
      done++;
    },
  });
  bar.stop();
  report(outcomes, options.json === true);
}

/** The one file to write, when `-o` names a file rather than a folder. */
async function singleOutput(output: string | undefined, photos: string[]): Promise<string | undefined> {
  if (output === undefined) return undefined;
  const isFolder =
    output.endsWith('/') ||
    (await stat(output).then(
      (stats) => stats.isDirectory(),
      () => false,
    ));
  if (isFolder || !/\.[a-z0-9]+$/i.test(output)) return undefined;
  if (photos.length > 1)
    throw new UserError(`-o ${output}: there are ${photos.length} photos; expected a folder.`);
  return output;
}

async function keepResult(
  photo: string,
  { bytesBefore, ms, file, error }: RenderedPhoto,
  output: string | undefined,
): Promise<PhotoResult> {
  const start = performance.now();
  const facts = () => ({
    photo,
    bytes_before: bytesBefore,
    ms: Math.round(ms + performance.now() - start),
  });
  if (file === undefined || output === undefined)
    return { ...facts(), error: error ?? 'There is no result.' };
  try {
    await replaceFile(output, file.bytes);
  } catch (thrown) {
    return { ...facts(), error: asError(thrown).message };
  }
  const { format, width, height, json } = file;
  return {
    ...facts(),
    output,
    format,
    ...(width !== undefined && { width, height }),
    bytes_after: file.bytes.length,
    ...(json !== undefined && { result: json }),
  };
}

function report(outcomes: PhotoResult[], json: boolean): void {
  const failed = outcomes.filter(({ error }) => error !== undefined);
  if (failed.length > 0) process.exitCode = EXIT.failed;
  if (json) return printJson(outcomes);
  const [only] = outcomes;
  if (outcomes.length === 1 && only?.result !== undefined) return printJson(only.result);
  printTable(
    ['Photo', 'Before', 'After', 'Time', 'Result'],
    outcomes.map(({ photo, bytes_before, bytes_after, ms, output, width, height, error }) => [
      photo,
      humanSize(bytes_before),
      bytes_after === undefined ? '' : humanSize(bytes_after),
      humanDuration(ms),
      error === undefined ? `${output}${width === undefined ? '' : ` (${width} × ${height})`}` : 'failed',
    ]),
  );
  for (const { photo, error } of failed) print(escapeControls(`${photo} failed: ${error}`));
  if (failed.length > 0) print(`\n${failed.length} of ${outcomes.length} failed.`);
}
