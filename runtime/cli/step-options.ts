/** The options that say what is done to a photo, shared by `run` and `publish`. */
import { extname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../errors.ts';
import type { Step, Task } from '../task.ts';
import { collectOption, collectStep } from './step-syntax.ts';

export interface StepOptions {
  step?: Step[];
  format?: string;
  quality?: number;
  option?: Record<string, unknown>;
}

export function withStepOptions(command: Command): Command {
  return command
    .option(
      '-s, --step <name:key=value,…>',
      'a filter with its parameters; repeat for more steps, in order',
      collectStep,
    )
    .option(
      '-f, --format <format>',
      'jpeg, png, webp, avif, tiff or gif (default: as the input, or by the output’s extension)',
    )
    .option('-q, --quality <1-100>', 'quality of the result', wholeNumber)
    .option(
      '--option <key=value>',
      'another option of the output format, such as progressive=true; repeatable',
      collectOption,
    );
}

/** The steps; at least one. @throws UserError */
export function stepsOf(options: StepOptions): Step[] {
  if (options.step !== undefined && options.step.length > 0) return options.step;
  throw new UserError('Say what to do: --step NAME:key=value,… (see darkroom functions).');
}

/** The encoding asked for; a single output file's extension says the format where --format does not. */
export function encodingOf(options: StepOptions, outputFile?: string): Task['output'] {
  const format = options.format ?? (outputFile === undefined ? undefined : formatOf(outputFile));
  return {
    ...(format !== undefined && { format }),
    ...(options.quality !== undefined && { quality: options.quality }),
    ...options.option,
  };
}

const FORMATS_BY_EXTENSION: Record<string, string> = {
  jpg: 'jpeg',
  jpeg: 'jpeg',
  png: 'png',
  webp: 'webp',
  avif: 'avif',
  tif: 'tiff',
  tiff: 'tiff',
  gif: 'gif',
};

function formatOf(file: string): string | undefined {
  return FORMATS_BY_EXTENSION[extname(file).slice(1).toLowerCase()];
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}
