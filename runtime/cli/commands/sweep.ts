/** `darkroom sweep`: removes what ended tasks leave for the recognition of repeats, once it is old enough. */
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import { formatDuration, parseDuration } from '../../units.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { sweepStorage } from '../sweep-storage.ts';
import { escapeControls, print, printJson } from '../terminal.ts';

const DAY_MS = 86_400_000;

export function sweepCommand(): Command {
  const command = new Command('sweep')
    .description(
      'Removes markers of ended tasks and abandoned intermediates older than ENDED_RETENTION (7 days). A repeat of a task that comes later than that runs again. What cannot be removed is named, the rest goes; exit code 1 then.',
    )
    .option('--older-than <duration>', 'instead of ENDED_RETENTION, such as 12h or 30d')
    .action(sweep);
  return conventional(command, 'darkroom sweep --older-than 30d');
}

async function sweep(options: { olderThan?: string; json?: boolean }): Promise<void> {
  const config = readConfig();
  const olderThanMs =
    options.olderThan === undefined ? config.storage.endedRetentionMs : parseDuration(options.olderThan);
  if (olderThanMs === undefined)
    throw new UserError(`--older-than: expected a duration such as 12h or 30d, got "${options.olderThan}".`);
  const { removed, failed } = await sweepStorage(await openStorage(config.storage.url), olderThanMs);
  if (failed.length > 0) process.exitCode = EXIT.failed;
  if (options.json === true) return printJson({ removed, failed, older_than_ms: olderThanMs });
  print(`Removed ${removed} objects older than ${ageText(olderThanMs)}.`);
  for (const { key, why } of failed) print(escapeControls(`${key} stays: ${why}`));
}

function ageText(ms: number): string {
  return ms > 0 && ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : formatDuration(ms);
}
