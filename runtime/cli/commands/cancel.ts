/** `darkroom cancel ID`: ends a task before its work does. */
import { Command } from 'commander';
import { names } from '../../amqp/topology.ts';
import { readConfig } from '../../config.ts';
import { type Ended, markEnded, readLatestEnded } from '../../ended.ts';
import { EVENT_CONTENT_TYPE, encodeEvent, eventId, type TaskEvent } from '../../events.ts';
import { openStorage } from '../../storage/storage.ts';
import { withBroker } from '../session.ts';
import { conventional, print, printJson } from '../terminal.ts';

export function cancelCommand(): Command {
  const command = new Command('cancel')
    .description(
      'Ends a task: what is queued is dropped, what is running stops within about a second. Its final event is "failed" with failure_type "cancelled". Exit code 1 when it had ended before.',
    )
    .argument('<id>', 'the task’s id')
    .action(async (id: string, options: { json?: boolean }) => {
      const { ended, before } = await cancel(id);
      if (before) process.exitCode = 1;
      if (options.json === true)
        printJson({ id, outcome: ended.outcome, time: ended.time, cancelled: !before });
      else
        print(
          before
            ? `Task ${id} had ended before: ${ended.outcome} at ${ended.time}.`
            : `Task ${id} is cancelled.`,
        );
    });
  return conventional(command, 'darkroom cancel 0198c1d2-…');
}

async function cancel(id: string): Promise<{ ended: Ended; before: boolean }> {
  const config = readConfig();
  const storage = await openStorage(config.storage.url);
  const earlier = await readLatestEnded(storage, id);
  if (earlier !== undefined) return { ended: earlier, before: true };
  const mine: Ended = {
    task_id: id,
    generation: 0,
    fingerprint: '',
    outcome: 'cancelled',
    time: new Date().toISOString(),
    data: { failure_type: 'cancelled', failure_reason: 'The task was cancelled.' },
  };
  return await withBroker(config, async (broker) => {
    const ended = await markEnded(storage, mine);
    if (ended !== mine) return { ended, before: true };
    const event: TaskEvent = {
      type: 'failed',
      taskId: id,
      step: 0,
      generation: 0,
      attempt: 0,
      filter: 'cancel',
      time: ended.time,
      data: { outcome: 'cancelled', ...ended.data },
    };
    await broker.publish({
      exchange: names(config.prefix).events,
      routingKey: 'task.failed',
      body: encodeEvent(event),
      properties: { contentType: EVENT_CONTENT_TYPE, messageId: eventId(event) },
    });
    return { ended, before: false };
  });
}
