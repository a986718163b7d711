/** `darkroom status ID`: a failed job, and one that merely waits for a worker, are told apart. */
import { Command } from 'commander';
import { inspectQueue, names } from '../../amqp/topology.ts';
import { type Config, readConfig } from '../../config.ts';
import { openStorage } from '../../storage/open.ts';
import { readLatestMarker } from '../../task/task-marker.ts';
import { withBroker } from '../session.ts';
import { currentStep } from '../task-client.ts';
import { bold, conventional, print, printJson } from '../terminal.ts';

interface Status {
  id: string;
  /** `waiting`: no worker consumes its queue. `queued`: waiting or being worked on. */
  state: 'completed' | 'failed' | 'cancelled' | 'waiting' | 'queued' | 'unknown';
  words: string;
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
      if (['failed', 'cancelled', 'unknown'].includes(status.state)) process.exitCode = 1;
      if (options.json === true) printJson(status);
      else print(`${bold(status.state)}  ${status.words}`);
    });
  return conventional(command, 'darkroom status 0198c1d2-…');
}

async function statusOf(id: string, config: Config): Promise<Status> {
  const storage = await openStorage(config.storage.url);
  const ended = await readLatestMarker(storage, id);
  const place = await currentStep(storage, id);
  if (ended !== undefined) {
    const { outcome, time, data } = ended;
    const output = data.output as { key?: string } | undefined;
    const words =
      outcome === 'completed'
        ? `at ${time}: ${output?.key}`
        : `at ${time}: ${data.failure_reason} (${data.failure_type})`;
    return { id, state: outcome, words, time, ...data };
  }
  if (place === undefined)
    return {
      id,
      state: 'unknown',
      words:
        'No worker has ended this task and it was not published from here. It may be queued, or the id is wrong.',
    };
  return await withBroker(config, async (broker) => {
    const queue = names(config.prefix).queue(place.filter);
    const { messages, consumers } = await broker.withChannel((channel) => inspectQueue(channel, queue));
    const where = `step ${place.step + 1} of ${place.steps.length} (${place.filter}), since ${place.since}`;
    const detail = {
      step: place.step,
      steps: place.steps.length,
      filter: place.filter,
      since: place.since,
      queue,
      messages,
      consumers,
    };
    if (consumers === 0)
      return {
        id,
        state: 'waiting',
        words: `${where}: no worker available (queue ${queue}: ${messages} messages, 0 consumers)`,
        ...detail,
      };
    return {
      id,
      state: 'queued',
      words: `${where}: ${messages} messages wait in ${queue}, ${consumers} workers`,
      ...detail,
    };
  });
}
