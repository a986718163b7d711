/** `darkroom sweep`: removes what ended tasks leave to recognize repeats by, once it is old enough. */
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import { sweep } from '../../task/task-marker.ts';
import { formatDuration, parseDuration } from '../../units.ts';
import { conventional } from '../option-values.ts';
import { print, printJson } from '../terminal.ts';

const DAY_MS = 86_400_000;

export function sweepCommand(): Command {
  const command = new Command('sweep')
    .description(
      'Removes markers of ended tasks and abandoned intermediates older than ENDED_RETENTION (7 days). A repeat of a task that comes later than that runs again.',
    )
    .option('--older-than <duration>', 'instead of ENDED_RETENTION, such as 12h or 30d')
    .action(async (options: { olderThan?: string; json?: boolean }) => {
      const config = readConfig();
      const olderThanMs =
        options.olderThan === undefined ? config.storage.endedRetentionMs : parseDuration(options.olderThan);
      if (olderThanMs === undefined)
        throw new UserError(
          `--older-than: expected a duration such as 12h or 30d, got "${options.olderThan}".`,
        );
      const removed = await sweep(await openStorage(config.storage.url), olderThanMs);
      if (options.json === true) printJson({ removed, older_than_ms: olderThanMs });
      else print(`Removed ${removed} objects older than ${ageText(olderThanMs)}.`);
    });
  return conventional(command, 'darkroom sweep --older-than 30d');
}

function ageText(ms: number): string {
  return ms > 0 && ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : formatDuration(ms);
}
