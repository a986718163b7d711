/** `darkroom status ID`: where a task stands, and whether it failed or only waits for a worker. */
import { Command } from 'commander';
import { inspectQueue, names } from '../../amqp/topology.ts';
import { type Config, readConfig } from '../../config.ts';
import { openStorage } from '../../storage/open.ts';
import { readLatestMarker, type TaskMarker } from '../../task/task-marker.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { withBroker } from '../session.ts';
import { type CurrentStep, currentStep } from '../submission-record.ts';
import { resultOf } from '../task-client.ts';
import { bold, escapeControls, print, printJson } from '../terminal.ts';

interface TaskStatus {
  id: string;
  /** `waiting`: no worker consumes its queue. `queued`: waiting or being worked on. */
  state: 'completed' | 'failed' | 'cancelled' | 'waiting' | 'queued' | 'unknown';
  explanation: string;
  [detail: string]: unknown;
}

export function statusCommand(): Command {
  const command = new Command('status')
    .description(
      'Says where a task stands: completed, failed and why, cancelled, queued with workers, or waiting because no worker is there. Exit code 1 for failed, cancelled and unknown.',
    )
    .argument('<id>', 'the task’s id')
    .action(async (id: string, options: { json?: boolean }) => {
      const status = await statusOf(id, readConfig());
      if (['failed', 'cancelled', 'unknown'].includes(status.state)) process.exitCode = EXIT.failed;
      if (options.json === true) printJson(status);
      else print(`${bold(escapeControls(status.state))}  ${escapeControls(status.explanation)}`);
    });
  return conventional(command, 'darkroom status 0198c1d2-…');
}

async function statusOf(id: string, config: Config): Promise<TaskStatus> {
  const storage = await openStorage(config.storage.url);
  const marker = await readLatestMarker(storage, id);
  const place = await currentStep(storage, id);
  if (marker !== undefined) return endedStatus(id, marker);
  if (place !== undefined) return await queuedStatus(id, place, config);
  return {
    id,
    state: 'unknown',
    explanation:
      'No worker has ended this task and it was not published from here. It may be queued, or the id is wrong.',
  };
}

function endedStatus(id: string, { outcome, time, data }: TaskMarker): TaskStatus {
  const explanation =
    outcome === 'completed'
      ? `at ${time}: ${resultOf({ data })?.key}`
      : `at ${time}: ${data.failure_reason} (${data.failure_type})`;
  return { id, state: outcome, explanation, time, ...data };
}

async function queuedStatus(id: string, place: CurrentStep, config: Config): Promise<TaskStatus> {
  const { step, steps, filter, since } = place;
  const queue = names(config.prefix).queue(filter);
  const { messages, consumers } = await withBroker(config, (broker) =>
    broker.withChannel((channel) => inspectQueue(channel, queue)),
  );
  const where = `step ${step + 1} of ${steps.length} (${filter}), since ${since}`;
  const detail = { step, steps: steps.length, filter, since, queue, messages, consumers };
  if (consumers === 0) {
    const explanation = `${where}: no worker available (queue ${queue}: ${messages} messages, 0 consumers)`;
    return { id, state: 'waiting', explanation, ...detail };
  }
  const explanation = `${where}: ${messages} messages wait in ${queue}, ${consumers} workers`;
  return { id, state: 'queued', explanation, ...detail };
}
