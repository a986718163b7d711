/** The options that say what is done to a photo, shared by `run` and `publish`. */
import { extname } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../errors.ts';
import { FORMATS, OUTPUT_FORMATS } from '../image/formats.ts';
import type { Step, Task } from '../task/task.ts';
import { wholeNumber } from './option-values.ts';
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
      `${OUTPUT_FORMATS.slice(0, -1).join(', ')} or ${OUTPUT_FORMATS.at(-1)} (default: as the input, or by the output’s extension)`,
    )
    .option('-q, --quality <1-100>', 'quality of the result', wholeNumber(1, 100))
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

/** A result under an ending that says something else misleads whoever opens it. @throws UserError */
export function checkExtension(file: string, options: StepOptions): void {
  const known = [...Object.keys(FORMATS_BY_EXTENSION), 'json'];
  if (options.format !== undefined || known.includes(extname(file).slice(1).toLowerCase())) return;
  throw new UserError(
    `-o ${file}: no such format is written; expected a name that ends in one of ${known.join(', ')}, or --format to name the format.`,
  );
}

const FORMATS_BY_EXTENSION: Record<string, string> = Object.fromEntries(
  OUTPUT_FORMATS.flatMap((format) => FORMATS[format].extensions.map((extension) => [extension, format])),
);

function formatOf(file: string): string | undefined {
  return FORMATS_BY_EXTENSION[extname(file).slice(1).toLowerCase()];
}
