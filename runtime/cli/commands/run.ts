/** `darkroom run`: the same filters in this process, without a broker. Same task, same bytes. */
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { asError, Rejection, UserError } from '../../errors.ts';
import type { Context } from '../../filter.ts';
import { decode } from '../../image/decode.ts';
import { packIntermediate, unpackIntermediate } from '../../image/intermediate.ts';
import type { ImageLimits } from '../../image/limits.ts';
import { type Plan, planTask, type ResultFile, renderStep } from '../../image/pipeline.ts';
import { humanDuration, humanSize } from '../../units.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { findPhotos, outputFolder, resultNamer } from '../photos.ts';
import { ProgressBar } from '../progress-bar.ts';
import { replaceFile } from '../replace-file.ts';
import { checkExtension, encodingOf, type StepOptions, stepsOf, withStepOptions } from '../step-options.ts';
import { escapeControls, print, printJson, printTable } from '../terminal.ts';

interface RunOptions extends StepOptions {
  output?: string;
  json?: boolean;
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
  const plan = await planTask({ steps, output: encodingOf(options, file) }, config.functionsDir);
  const folder = file === undefined ? resolve(options.output ?? 'darkroom-results') : dirname(resolve(file));
  await outputFolder(folder);
  const bar = new ProgressBar(photos.length, photos.length === 1 ? 'photo' : 'photos');
  const outcomes: PhotoResult[] = [];
  const nameResult = resultNamer();
  const place = (photo: string, { extension }: ResultFile) =>
    file ?? join(folder, nameResult(photo, extension));
  for (const photo of photos) {
    bar.update(outcomes.length, basename(photo));
    outcomes.push(await runOne(photo, plan, config.limits, (result) => place(photo, result)));
  }
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

async function runOne(
  photo: string,
  plan: Plan,
  limits: ImageLimits,
  place: (result: ResultFile) => string,
): Promise<PhotoResult> {
  const start = performance.now();
  const bytes = await readFile(photo);
  const done = () => ({ photo, bytes_before: bytes.length, ms: Math.round(performance.now() - start) });
  try {
    const result = await renderAll(bytes, plan, limits);
    const output = place(result);
    await replaceFile(output, result.bytes);
    const { format, width, height, json } = result;
    return {
      ...done(),
      output,
      format,
      ...(width !== undefined && { width, height }),
      bytes_after: result.bytes.length,
      ...(json !== undefined && { result: json }),
    };
  } catch (thrown) {
    return { ...done(), error: asError(thrown).message };
  }
}

/** All steps of a plan, with the same lossless form between them as the queue's workers use. */
async function renderAll(bytes: Buffer, plan: Plan, limits: ImageLimits): Promise<ResultFile> {
  if (bytes.length > limits.inputBytes)
    throw new Rejection(`The file has ${bytes.length} bytes; expected at most ${limits.inputBytes}.`, {
      failureType: 'limit-exceeded',
    });
  let image = await decode(bytes, limits);
  for (let step = 0; ; step++) {
    const rendered = await renderStep(plan, step, image, localContext(step, limits), limits);
    if (rendered.kind === 'file') return rendered.file;
    image = await unpackIntermediate(await packIntermediate(rendered.pixels, rendered.source), limits);
  }
}

/** A step's second input is a file on this machine. */
function localContext(step: number, limits: ImageLimits): Context {
  return {
    taskId: 'local',
    step,
    signal: new AbortController().signal,
    load: async (input) => {
      const bytes = await readFile(input).catch((error: unknown) => {
        throw new Rejection(`${input}: cannot be read: ${asError(error).message}`, {
          failureType: 'input-not-found',
          cause: error,
        });
      });
      return await decode(bytes, limits);
    },
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
