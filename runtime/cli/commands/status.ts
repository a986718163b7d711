/** `darkroom status ID`: where a task stands, and whether it failed or only waits for a worker. */
import { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { statusOf, type TaskStatus } from '../task-status.ts';
import { bold, escapeControls, print, printJson } from '../terminal.ts';

const NOT_WELL: TaskStatus['state'][] = ['failed', 'cancelled', 'damaged', 'unknown'];

export function statusCommand(): Command {
  const command = new Command('status')
    .description(
      'Says where a task stands: completed; failed and why; cancelled; queued with workers; waiting, because no worker is there; running; retrying; refused, because its next queue is not there; or damaged, when its marker cannot be read. After a replay it tells of the generation under way. Exit code 1 for failed, cancelled, damaged and unknown.',
    )
    .argument('<id>', 'the task’s id')
    .action(async (id: string, options: { json?: boolean }) => {
      const status = await statusOf(id, readConfig());
      if (NOT_WELL.includes(status.state)) process.exitCode = EXIT.failed;
      if (options.json === true) printJson(status);
      else print(`${bold(escapeControls(status.state))}  ${escapeControls(status.explanation)}`);
    });
  return conventional(command, 'darkroom status 0198c1d2-…');
}
