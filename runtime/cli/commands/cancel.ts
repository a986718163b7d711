/** `darkroom cancel ID`: ends a task before its work does. */
import { Command } from 'commander';
import { names } from '../../amqp/topology.ts';
import { readConfig } from '../../config.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import { EVENT_CONTENT_TYPE, encodeEvent, eventId, type TaskEvent } from '../../task/events.ts';
import {
  intermediatesFolder,
  readLatestMarker,
  type TaskMarker,
  writeMarker,
} from '../../task/task-marker.ts';
import { withBroker } from '../session.ts';
import { conventional, print, printJson } from '../terminal.ts';

interface Cancellation {
  /** The marker that stands. */
  ended: TaskMarker;
  /** The task had ended already; nothing was done. */
  before: boolean;
  /** Something shows that such a task was published. */
  known: boolean;
}

export function cancelCommand(): Command {
  const command = new Command('cancel')
    .description(
      'Ends a task: what is queued is dropped, what is running stops within about a second. Its final event is "failed" with failure_type "cancelled". Of a task published elsewhere nothing may be known yet: its cancellation is recorded and holds when a worker takes it up. Exit code 1 when it had ended before.',
    )
    .argument('<id>', 'the task’s id')
    .action(async (id: string, options: { json?: boolean }) => {
      const cancellation = await cancel(id);
      const { ended, before, known } = cancellation;
      if (before) process.exitCode = 1;
      if (options.json === true)
        printJson({ id, outcome: ended.outcome, time: ended.time, cancelled: !before, known });
      else print(inWords(id, cancellation));
    });
  return conventional(command, 'darkroom cancel 0198c1d2-…');
}

function inWords(id: string, { ended, before, known }: Cancellation): string {
  if (before) return `Task ${id} had ended before: ${ended.outcome} at ${ended.time}.`;
  if (known) return `Task ${id} is cancelled.`;
  return `The cancellation of ${id} is recorded, but no such task is known: it was not published from here, and no worker has done a step of it. If it waits in a queue or is yet to come, it will be dropped; else the id is wrong.`;
}

async function cancel(id: string): Promise<Cancellation> {
  const config = readConfig();
  const storage = await openStorage(config.storage.url);
  const earlier = await readLatestMarker(storage, id);
  if (earlier !== undefined) return { ended: earlier, before: true, known: true };
  const known = await hasTraces(storage, id);
  const mine: TaskMarker = {
    task_id: id,
    generation: 0,
    fingerprint: '',
    outcome: 'cancelled',
    time: new Date().toISOString(),
    data: { failure_type: 'cancelled', failure_reason: 'The task was cancelled.' },
  };
  return await withBroker(config, async (broker) => {
    const ended = await writeMarker(storage, mine);
    if (ended !== mine) return { ended, before: true, known: true };
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
    return { ended, before: false, known };
  });
}

/** Whether the record of its submission, or an image between two of its steps, lies in the storage. */
async function hasTraces(storage: Storage, id: string): Promise<boolean> {
  for await (const _ of storage.list(intermediatesFolder(id))) return true;
  return false;
}
