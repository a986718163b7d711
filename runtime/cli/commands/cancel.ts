/** `darkroom cancel ID`: ends a task before its work does. */
import { Command } from 'commander';
import type { Broker } from '../../amqp/broker.ts';
import { names } from '../../amqp/topology.ts';
import { readConfig } from '../../config.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import { EVENT_CONTENT_TYPE, encodeEvent, eventId, type TaskEvent } from '../../task/events.ts';
import { intermediatesFolder, type TaskMarker, writeMarker } from '../../task/task-marker.ts';
import { EXIT } from '../exit-codes.ts';
import { conventional } from '../option-values.ts';
import { withBroker } from '../session.ts';
import { standingOf } from '../task-standing.ts';
import { escapeControls, print, printJson } from '../terminal.ts';

interface Cancellation {
  /** The marker that stands. */
  marker: TaskMarker;
  /** The task had ended already; nothing was done. */
  before: boolean;
  /** Something shows that such a task was published. */
  known: boolean;
  /** Why the marker that was there could not be read. The cancellation has taken its place. */
  damage?: string;
  /** Nobody can tell whether a replay is under way. */
  isRecordDamaged?: boolean;
}

export function cancelCommand(): Command {
  const command = new Command('cancel')
    .description(
      'Ends a task: what is queued is dropped, what is running stops within about a second. Its final event is "failed" with failure_type "cancelled". Of a task that was replayed, the replay is cancelled. A task that was published elsewhere may not be known yet: its cancellation is recorded, and holds when a worker takes it up. Exit code 1 when it had ended before.',
    )
    .argument('<id>', 'the task’s id')
    .action(async (id: string, options: { json?: boolean }) => {
      const cancellation = await cancel(id);
      const { marker, before, known, damage } = cancellation;
      const { outcome, generation, time } = marker;
      if (before) process.exitCode = EXIT.failed;
      if (options.json === true)
        printJson({
          id,
          outcome,
          generation,
          time,
          cancelled: !before,
          known,
          damaged: damage !== undefined,
        });
      else print(escapeControls(explanationOf(cancellation, id)));
    });
  return conventional(command, 'darkroom cancel 0198c1d2-…');
}

function explanationOf(cancellation: Cancellation, id: string): string {
  const { marker, before, known, damage, isRecordDamaged } = cancellation;
  const { outcome, time, generation } = marker;
  if (before && outcome === 'failed') {
    const replay = isRecordDamaged
      ? 'whether a replay of it is under way cannot be said, for the record of that is damaged'
      : 'no replay of it is under way';
    return `Task ${id} had ended before: failed at ${time}, and ${replay}. darkroom dead list --id shows its letter.`;
  }
  if (before) return `Task ${id} had ended before: ${outcome} at ${time}.`;
  const cancelled = `Task ${id} is cancelled${generation > 0 ? ` in its replay (generation ${generation})` : ''}.`;
  if (damage !== undefined)
    return `${cancelled} ${damage} How it had ended cannot be said; if it is delivered again, it is dropped.`;
  if (known) return cancelled;
  return `The cancellation of ${id} is recorded, but no such task is known: it was not published from here, and no worker has done a step of it. If it waits in a queue or is published later, it will be dropped; else the id is wrong.`;
}

async function cancel(id: string): Promise<Cancellation> {
  const config = readConfig();
  const storage = await openStorage(config.storage.url);
  const { end, inFlight, record } = await standingOf(storage, id);
  if (inFlight === undefined && end?.marker !== undefined)
    return { marker: end.marker, before: true, known: true, isRecordDamaged: record === 'damaged' };
  const damage = inFlight === undefined ? end?.damage : undefined;
  const known = damage !== undefined || (await hasTraces(storage, id));
  const mine: TaskMarker = {
    task_id: id,
    generation: inFlight ?? end?.generation ?? 0,
    fingerprint: '',
    outcome: 'cancelled',
    time: new Date().toISOString(),
    data: { failure_type: 'cancelled', failure_reason: 'The task was cancelled.' },
  };
  return await withBroker(config, async (broker) => {
    const marker = await writeMarker(storage, mine);
    if (marker !== mine) return { marker, before: true, known: true };
    await publishCancelled(broker, config.prefix, marker);
    return { marker, before: false, known, ...(damage !== undefined && { damage }) };
  });
}

async function publishCancelled(broker: Broker, prefix: string, marker: TaskMarker): Promise<void> {
  const event: TaskEvent = {
    type: 'failed',
    taskId: marker.task_id,
    step: 0,
    generation: marker.generation,
    attempt: 0,
    filter: 'cancel',
    time: marker.time,
    data: { outcome: 'cancelled', ...marker.data },
  };
  await broker.publish({
    exchange: names(prefix).events,
    routingKey: 'task.failed',
    body: encodeEvent(event),
    properties: { contentType: EVENT_CONTENT_TYPE, messageId: eventId(event) },
  });
}

/** Whether the record of its submission, or an image between two of its steps, lies in the storage. */
async function hasTraces(storage: Storage, id: string): Promise<boolean> {
  for await (const _ of storage.list(intermediatesFolder(id))) return true;
  return false;
}
