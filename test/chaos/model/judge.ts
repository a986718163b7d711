/** Says which invariants one task did not keep. */
import type { Rabbit } from './broker.ts';
import { MODEL_FILTERS, type ScheduleResult } from './run-schedule.ts';
import type { Objects } from './storage.ts';
import type { StoredState } from './stored-state.ts';

/** Of the task that is published under the first one's id. */
export const RIVAL_INPUT = 'in-rival';
export const RIVAL_PHOTO = 'rival photo';

/** What a schedule left behind. */
interface Left {
  rabbit: Rabbit;
  objects: Objects;
  unmarked: ReadonlySet<string>;
  state: StoredState;
  /** Another task had the same id. */
  rival: boolean;
}

type Say = (fault: string) => void;

export function judgeTask(id: string, steps: number, left: Left, result: ScheduleResult): void {
  const { rabbit, unmarked, state, rival } = left;
  const say: Say = (text) => result.faults.push(`${id} ${text}`);
  const ends = rabbit.events.filter(
    ({ taskId, type }) => taskId === id && ['task.completed', 'task.failed'].includes(type),
  );
  const letters = rabbit.dead.filter(({ body }) => JSON.parse(body.toString()).id === id);
  const outcomes = new Set(ends.map(({ data }) => String(data.outcome)));
  if (unmarked.has(id)) result.unmarked++;
  if (outcomes.has('completed')) result.completed++;
  else result.failed++;
  if (outcomes.size === 0 && letters.length === 0) return say('is lost');
  if (outcomes.has('completed')) checkResult(id, steps, left, ends, say);
  // Whose cancellation was damaged after it had been told may end once more; the copy that owed a letter is gone by then.
  else if (outcomes.has('failed') && !(outcomes.has('cancelled') && state.wasDamaged(id)))
    checkFailure(letters, result, say);
  // Without its marker another copy of the task cannot know that it has ended.
  if (unmarked.has(id) || state.wasDamaged(id)) return;
  if (outcomes.size > 1) say(`has ended twice: ${[...outcomes].join(' and ')}`);
  if (outcomes.has('cancelled') && left.objects.has(`out/${id}.png`)) say('was cancelled, and has a result');
  const others = letters.filter((letter) => !(rival && reasonOf(letter).startsWith('task-id-reused')));
  if (outcomes.has('completed') && others.length > 0 && !rival)
    say(`is completed and a dead letter (${reasonOf(others[0])})`);
}

function checkResult(
  id: string,
  steps: number,
  { objects, state, rival }: Left,
  ends: Rabbit['events'],
  say: Say,
): void {
  const applied = MODEL_FILTERS.slice(0, steps).map((name) => `>${name}`);
  const photos = [`photo ${id.slice('task-'.length)}`, ...(rival ? [RIVAL_PHOTO] : [])];
  const expected = photos.map((photo) => photo + applied.join(''));
  const stored = objects.get(`out/${id}.png`)?.toString();
  if (stored === undefined || !expected.includes(stored))
    return say(`has the result ${stored}; expected ${expected.join(' or ')}`);
  if (state.wasDamaged(id)) return;
  const said = ends.filter(({ data }) => data.outcome === 'completed').map(({ data }) => data.output);
  for (const output of said as { sha256?: string }[])
    if (output.sha256 !== state.sha256(`out/${id}.png`)) say('says another result than is stored');
}

function checkFailure(letters: Letter[], result: ScheduleResult, say: Say): void {
  if (letters.length === 0) say('is said to have failed, but is no dead letter');
  if (!anythingBroke(result, letters[0])) say(`failed (${reasonOf(letters[0])}) although nothing broke`);
}

function anythingBroke(result: ScheduleResult, letter: Letter | undefined): boolean {
  const { crashes, connectionsLost, childrenLost, stopped, damaged } = result;
  return crashes + connectionsLost + childrenLost + stopped + damaged > 0 || /storage/.test(reasonOf(letter));
}

interface Letter {
  properties?: { headers?: Record<string, unknown> } | undefined;
}

function reasonOf(letter: Letter | undefined): string {
  const headers = letter?.properties?.headers;
  return `${headers?.['darkroom-failure-type']}: ${headers?.['darkroom-failure-reason']}`;
}
