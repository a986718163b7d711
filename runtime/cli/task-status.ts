/** Says where a task stands: by its markers, by the record and the images in the storage, and by what lies in the queues. */
import { names } from '../amqp/topology.ts';
import type { Config } from '../config.ts';
import { asError } from '../errors.ts';
import { openStorage } from '../storage/open.ts';
import type { Storage } from '../storage/storage.ts';
import type { TaskMarker } from '../task/task-marker.ts';
import { formatDuration } from '../units.ts';
import { searchBroker, type TaskSight } from './message-search.ts';
import { withBroker } from './session.ts';
import { type CurrentStep, currentStep, lastStepDone } from './submission-record.ts';
import { resultOf, resultStanding } from './task-result.ts';
import { standingOf, type TaskStanding } from './task-standing.ts';

/** What is known of a task. */
interface Finding {
  /**
   * `waiting`: no worker consumes its queue. `queued`: there are workers, and messages before it. `running`: a worker has
   * it. `retrying`: a try has failed, and the next one comes. `refused`: its next queue is not there. `damaged`: its marker
   * cannot be read.
   */
  state:
    | TaskMarker['outcome']
    | 'waiting'
    | 'queued'
    | 'running'
    | 'retrying'
    | 'refused'
    | 'damaged'
    | 'unknown';
  explanation: string;
  [detail: string]: unknown;
}

export interface TaskStatus extends Finding {
  id: string;
  /** What could not be looked at, in words. */
  not_looked_at?: string[];
}

export async function statusOf(id: string, config: Config): Promise<TaskStatus> {
  const storage = await openStorage(config.storage.url);
  const standing = await standingOf(storage, id);
  const marker = standing.inFlight === undefined ? standing.end?.marker : undefined;
  if (marker !== undefined) return await endedStatus(id, marker, storage);
  const status = await openStatus(id, standing, storage, config);
  return { ...status, explanation: [status.explanation, ...remarksOn(standing, status)].join(' ') };
}

async function endedStatus(id: string, marker: TaskMarker, storage: Storage): Promise<TaskStatus> {
  const { outcome, time, generation, data } = marker;
  const said = { ...data, time, generation };
  if (outcome !== 'completed') {
    const explanation = `at ${time}: ${data.failure_reason} (${data.failure_type})`;
    return { ...said, id, state: outcome, explanation };
  }
  const result = await resultStanding(storage, marker);
  const key = resultOf({ data })?.key;
  const words = {
    stored: `at ${time}: ${key}`,
    storing: `since ${time}: the marker is written, and the result ${key} is about to be stored`,
    replaced: `at ${time}: ${key}, where something newer lies now`,
    missing: `at ${time}: ${key}, which is not in the storage any more`,
  };
  return {
    ...said,
    id,
    state: result === 'storing' ? 'running' : outcome,
    explanation: words[result],
    result,
  };
}

async function openStatus(
  id: string,
  { end, record, inFlight }: TaskStanding,
  storage: Storage,
  config: Config,
): Promise<TaskStatus> {
  const generation = inFlight ?? end?.generation ?? 0;
  const isKnown = record !== undefined && record !== 'damaged' && record.generation === generation;
  const place = isKnown ? await currentStep(storage, id, record) : undefined;
  const queue = place && names(config.prefix).queue(place.filter);
  const sight = await lookOnBroker(config, { id, generation, queue });
  const about = { id, generation, ...(sight.faults.length > 0 && { not_looked_at: sight.faults }) };
  const found = foundStatus(sight, place);
  if (found !== undefined) return { ...about, ...found };
  if (place !== undefined && queue !== undefined) return { ...about, ...placedStatus(place, queue, sight) };
  if (end !== undefined) return { ...about, state: 'damaged', explanation: 'How it ended cannot be said.' };
  return { ...about, ...(await unknownStatus(id, storage)) };
}

/** By its message itself, where that was found. Anybody can write a letter, so the queue may contradict one. */
function foundStatus(
  { letter, retry, queue }: TaskSight,
  place: CurrentStep | undefined,
): Finding | undefined {
  const mayWait = place !== undefined && queue !== undefined && queue !== 'missing' && queue.messages > 0;
  if (letter !== undefined && (letter.believed || !mayWait)) {
    const { failure_type, reason, failed_at, filter } = letter;
    const explanation = `${failed_at === null ? '' : `at ${failed_at}: `}${reason} (${failure_type}) It is in the dead letters.`;
    const said = { failure_type, failure_reason: reason, filter, time: failed_at, dead_letter: true };
    return { state: 'failed', explanation, ...said };
  }
  if (retry === undefined) return undefined;
  const { step, attempt, restarts, delayMs } = retry;
  const again = restarts > 0 ? `, started again ${restarts} times` : '';
  const explanation = `step ${step + 1} has failed ${attempt} times${again}; the next try comes within ${formatDuration(delayMs)}.`;
  return { state: 'retrying', explanation, step, attempt, restarts };
}

/** By the queue in which it is due. */
function placedStatus(
  { step, steps, filter, since }: CurrentStep,
  queue: string,
  { queue: sight }: TaskSight,
): Finding {
  const where = `step ${step + 1} of ${steps.length} (${filter}), since ${since}`;
  const detail = { step, steps: steps.length, filter, since, queue };
  if (sight === undefined) return { state: 'queued', explanation: `${where}.`, ...detail };
  if (sight === 'missing')
    return {
      state: 'refused',
      explanation: `${where}: its queue ${queue} is not there (darkroom queues declare)`,
      ...detail,
    };
  const { messages, consumers } = sight;
  const counts = { ...detail, messages, consumers };
  if (consumers === 0) {
    const explanation = `${where}: no worker available (queue ${queue}: ${messages} messages, 0 consumers)`;
    return { state: 'waiting', explanation, ...counts };
  }
  if (messages > 0) {
    const explanation = `${where}: ${messages} messages wait in ${queue}, ${consumers} consumers`;
    return { state: 'queued', explanation, ...counts };
  }
  return { state: 'running', explanation: `${where}: a worker has it (${consumers} consumers)`, ...counts };
}

async function unknownStatus(id: string, storage: Storage): Promise<Finding> {
  const done = await lastStepDone(storage, id);
  if (done !== undefined)
    return {
      state: 'running',
      explanation: `step ${done.step + 1} was done at ${done.since}; the next one waits or is being worked on.`,
      ...done,
    };
  return {
    state: 'unknown',
    explanation:
      'No worker has ended this task, it was not published from here, and it was not found in the dead letters. It may be queued, or the id is wrong.',
  };
}

async function lookOnBroker(
  config: Config,
  search: { id: string; generation: number; queue?: string | undefined },
): Promise<TaskSight> {
  try {
    return await withBroker(config, (broker) => searchBroker(broker, config, search));
  } catch (thrown) {
    return { faults: [asError(thrown).message] };
  }
}

/** What a person has to know beside the state. */
function remarksOn({ end, record, inFlight }: TaskStanding, { not_looked_at = [] }: TaskStatus): string[] {
  const remarks = not_looked_at.map((fault) => `(${fault})`);
  if (end?.damage !== undefined)
    remarks.push(
      `${end.damage} When the task is delivered, its work is done again and the marker written anew.`,
    );
  if (record === 'damaged')
    remarks.push('The record of its submission is damaged, so its steps are not known here.');
  if (inFlight !== undefined && inFlight > 0) {
    const before = end?.marker;
    const why = before && ` (before, at ${before.time}: ${before.data.failure_reason ?? before.outcome})`;
    remarks.push(`It was replayed: this is generation ${inFlight}${why ?? ''}.`);
  }
  return remarks;
}
