/** Runs one schedule to its end and says which invariants did not hold. */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { Slot } from '../../../runtime/worker/slot.ts';
import { Trust } from '../../../runtime/worker/trust.ts';
import { connect, createRabbit, PREFIX, type Rabbit } from './broker.ts';
import { type ModelChild, startModelChild } from './child.ts';
import type { Objects } from './storage.ts';
import { beginLife, type Choices, choicesOf, createTurns, type Life } from './virtual-time.ts';
import { waitBy } from './virtual-waits.ts';

export interface Schedule {
  /** Steps of each task: 1 to 3. */
  tasks: number[];
  /** How often each task is published. */
  copies: number;
  /** Of a failed step. */
  retries: number;
  crashLimit: number;
  schedule: Uint8Array;
}

export interface ScheduleResult {
  turns: number;
  crashes: number;
  connectionsLost: number;
  childrenLost: number;
  /** Workers told to stop whose time for it was over at once. */
  stopped: number;
  completed: number;
  failed: number;
  /** Given up while even the marker that says so could not be written: other copies of the task cannot know. */
  unmarked: number;
  /** Empty when all is well. */
  faults: string[];
}

const FILTERS = ['resize', 'blur', 'flip'];
const WORKERS_PER_FILTER = 2;
const RETRY_DELAYS_MS = [1, 2];
const MAX_TURNS = 20_000;
const NO_LOG = { child: () => NO_LOG, debug() {}, info() {}, warn() {}, error() {} };
const NO_METRICS = { task() {}, notSent() {}, phase() {}, bytes() {}, inFlight() {} };
const NO_TRACING = { start: () => ({ traceId: undefined, traceparent: undefined, end() {} }) };

interface WorkerInModel {
  filter: string;
  process: Life;
  child: ModelChild;
  connection: ReturnType<typeof connect>;
  slot: Slot;
}

/** Before the first schedule. */
export function emptyResult(): ScheduleResult {
  return {
    turns: 0,
    crashes: 0,
    connectionsLost: 0,
    childrenLost: 0,
    stopped: 0,
    completed: 0,
    failed: 0,
    unmarked: 0,
    faults: [],
  };
}

export async function runSchedule({
  tasks,
  copies,
  retries,
  crashLimit,
  schedule,
}: Schedule): Promise<ScheduleResult> {
  const choices = choicesOf(schedule);
  const rabbit = createRabbit();
  const objects: Objects = new Map();
  const turns = createTurns();
  const result = emptyResult();
  const run = beginLife();
  waitBy(() => turns.take(run, () => {}));
  const unmarked = new Set<string>();
  const start = (filter: string): WorkerInModel => {
    const process = beginLife();
    const child = startModelChild(objects, turns, choices, unmarked);
    const connection = connect(rabbit, turns, process);
    const slot = new Slot({
      filter,
      prefix: PREFIX,
      name: 'model',
      broker: connection.broker,
      child: child.child,
      metrics: NO_METRICS,
      tracing: NO_TRACING,
      log: NO_LOG,
      taskTimeoutMs: 1_000,
      retryDelaysMs: RETRY_DELAYS_MS.slice(0, retries),
      crashLimit,
      knownFilters: () => FILTERS,
      trust: new Trust({
        prefix: PREFIX,
        isOurUser: (user) => user === PREFIX,
        replyQueues: [],
        log: NO_LOG as never,
      }),
    } as unknown as ConstructorParameters<typeof Slot>[0]);
    return { filter, process, child, connection, slot };
  };
  const workers = FILTERS.flatMap((filter) =>
    Array.from({ length: WORKERS_PER_FILTER }, () => start(filter)),
  );
  publishAll(tasks, copies, rabbit, objects);

  for (; result.turns < MAX_TURNS; result.turns++) {
    await turnOfTheLoop();
    breakSomething(workers, choices, result, start);
    const takers = workers.filter(({ connection }) => connection.canTake);
    const actions = turns.count + takers.length + (rabbit.waiting.length > 0 ? 1 : 0);
    if (actions === 0) break;
    const chosen = choices.pick(actions);
    if (chosen < turns.count) turns.give(chosen);
    else if (chosen < turns.count + takers.length) takers[chosen - turns.count]!.connection.deliver();
    else comeBack(rabbit);
  }
  run.end();
  for (const [index, steps] of tasks.entries())
    judge(`task-${index}`, steps, { rabbit, objects, unmarked }, result);
  if (result.turns === MAX_TURNS) result.faults.push('it never came to an end');
  const left = [...rabbit.queues].filter(([, queue]) => queue.length > 0);
  for (const [name, queue] of left) result.faults.push(`${queue.length} messages are left in ${name}`);
  return result;
}

function publishAll(tasks: number[], copies: number, rabbit: Rabbit, objects: Objects): void {
  for (const [index, count] of tasks.entries()) {
    objects.set(`in-${index}`, Buffer.from(`photo ${index}`));
    const steps = FILTERS.slice(0, count).map((filter) => ({ filter }));
    const body = Buffer.from(JSON.stringify({ id: `task-${index}`, input: `in-${index}`, steps }));
    const message = {
      exchange: PREFIX,
      routingKey: FILTERS[0]!,
      body,
      properties: { contentType: 'application/json' },
    };
    for (let copy = 0; copy < copies; copy++) rabbit.publish(message);
  }
}

/** A worker dies (its child may live on for a while), a connection or a child is lost, a worker must stop at once. */
function breakSomething(
  workers: WorkerInModel[],
  choices: Choices,
  result: ScheduleResult,
  start: (filter: string) => WorkerInModel,
): void {
  const fault = choices.fault(5);
  if (fault === undefined) return;
  const index = choices.pick(workers.length);
  const worker = workers[index]!;
  if (fault === 0) {
    result.crashes++;
    worker.process.end();
    if (choices.pick(2) === 0) worker.child.kill();
    workers[index] = start(worker.filter);
  } else if (fault === 4) {
    result.stopped++;
    void Promise.all([worker.slot.drain(), worker.slot.giveBack()]).then(() => worker.process.end());
    workers.push(worker);
    workers[index] = start(worker.filter);
  } else if (fault === 3) {
    result.childrenLost++;
    worker.child.kill();
  } else {
    result.connectionsLost++;
    if (fault === 1) worker.connection.loseConsume();
    else worker.connection.losePublish();
  }
}

function comeBack(rabbit: Rabbit): void {
  const { message, key } = rabbit.waiting.shift()!;
  rabbit.queues.get(key)!.push(message);
}

interface Left {
  rabbit: Rabbit;
  objects: Objects;
  unmarked: ReadonlySet<string>;
}

function judge(id: string, steps: number, { rabbit, objects, unmarked }: Left, result: ScheduleResult): void {
  const isEnd = (type: string) => type === 'task.completed' || type === 'task.failed';
  const ends = rabbit.events.filter(({ taskId, type }) => taskId === id && isEnd(type));
  const outcomes = new Set(ends.map(({ type }) => type));
  const letters = rabbit.dead.filter(({ body }) => JSON.parse(body.toString()).id === id);
  const say = (text: string) => result.faults.push(`${id} ${text}`);
  const completed = outcomes.has('task.completed');
  if (unmarked.has(id)) result.unmarked++;
  if (completed) result.completed++;
  else result.failed++;
  if (outcomes.size === 0 && letters.length === 0) {
    say('is lost');
    return;
  }
  if (completed) {
    const applied = FILTERS.slice(0, steps).map((name) => `>${name}`);
    const expected = `photo ${id.slice('task-'.length)}${applied.join('')}`;
    const stored = objects.get(`out/${id}.png`)?.toString();
    if (stored !== expected) say(`has the result ${stored}; expected ${expected}`);
  } else {
    if (letters.length === 0) say('is said to have failed, but is no dead letter');
    if (!anythingBroke(result, letters[0])) say(`failed (${reasonOf(letters[0])}) although nothing broke`);
  }
  // Without its marker another copy of the task cannot know that it has ended.
  if (unmarked.has(id)) return;
  if (outcomes.size > 1) say('has ended twice, completed and failed');
  if (completed && letters.length > 0) say(`is completed and a dead letter (${reasonOf(letters[0])})`);
}

function anythingBroke(result: ScheduleResult, letter: Letter | undefined): boolean {
  return (
    result.crashes + result.connectionsLost + result.childrenLost + result.stopped > 0 ||
    /storage/.test(reasonOf(letter))
  );
}

interface Letter {
  properties?: { headers?: Record<string, unknown> } | undefined;
}

function reasonOf(letter: Letter | undefined): string {
  const headers = letter?.properties?.headers;
  return `${headers?.['darkroom-failure-type']}: ${headers?.['darkroom-failure-reason']}`;
}
