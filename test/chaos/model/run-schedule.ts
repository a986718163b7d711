/** Runs one schedule to its end and says which invariants did not hold. */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { HEADERS } from '../../../runtime/task/hop.ts';
import type { CarryMode } from '../../../runtime/worker/carry.ts';
import { Intakes } from '../../../runtime/worker/intake.ts';
import { Slot } from '../../../runtime/worker/slot.ts';
import { Trust } from '../../../runtime/worker/trust.ts';
import { createRabbit, ModelConnection, PREFIX, type Rabbit } from './broker.ts';
import { type ModelChild, startModelChild } from './child.ts';
import { judgeTask, RIVAL_INPUT, RIVAL_PHOTO } from './judge.ts';
import type { Objects } from './storage.ts';
import { StoredState } from './stored-state.ts';
import { beginLife, type Choices, choicesOf, createTurns, type Life } from './virtual-time.ts';
import { waitBy } from './virtual-waits.ts';

export interface ModelSchedule {
  /** Steps of each task: 1 to 3. */
  tasks: number[];
  /** How often each task is published. */
  copies: number;
  /** Whether another task is published under the first one's id. */
  rival: boolean;
  /** Copies of the first task from a stranger, whose headers lie about where it stands. */
  forged: ForgedHop[];
  /** Of a failed step. */
  retries: number;
  crashLimit: number;
  carry: CarryMode;
  /** Of each worker. */
  slots: number;
  schedule: Uint8Array;
}

/** What a stranger says of where the task stands. */
export interface ForgedHop {
  step: number;
  attempt: number;
  generation: number;
}

export interface ScheduleResult {
  turns: number;
  crashes: number;
  connectionsLost: number;
  childrenLost: number;
  /** Steps that were done by the worker of the step before. */
  carried: number;
  /** Workers told to stop whose time for it was over at once. */
  stopped: number;
  cancelled: number;
  /** Markers and images between two steps that were cut off or altered. */
  damaged: number;
  completed: number;
  failed: number;
  /** Given up while even the marker that says so could not be written: other copies of the task cannot know. */
  unmarked: number;
  /** Empty when all is well. */
  faults: string[];
}

/** In the order in which a task's steps name them. */
export const MODEL_FILTERS = ['resize', 'blur', 'flip'];
const WORKERS_PER_FILTER = 2;
const RETRY_DELAYS_MS = [1, 2];
const MAX_TURNS = 20_000;
const NO_LOG = { child: () => NO_LOG, debug() {}, info() {}, warn() {}, error() {} };
const NO_TRACING = { start: () => ({ traceId: undefined, traceparent: undefined, end() {} }) };

interface SlotInModel {
  child: ModelChild;
  /** Its part of the worker's connections. */
  connection: ModelConnection;
  slot: Slot;
}

interface WorkerInModel {
  filter: string;
  process: Life;
  slots: SlotInModel[];
}

/** Before the first schedule. */
export function emptyResult(): ScheduleResult {
  return {
    turns: 0,
    crashes: 0,
    connectionsLost: 0,
    childrenLost: 0,
    carried: 0,
    stopped: 0,
    cancelled: 0,
    damaged: 0,
    completed: 0,
    failed: 0,
    unmarked: 0,
    faults: [],
  };
}

export async function runSchedule(given: ModelSchedule): Promise<ScheduleResult> {
  const choices = choicesOf(given.schedule);
  const rabbit = createRabbit();
  const objects: Objects = new Map();
  const turns = createTurns();
  const result = emptyResult();
  const run = beginLife();
  waitBy(() => turns.take(run, () => {}));
  const unmarked = new Set<string>();
  const state = new StoredState(objects);
  const start = (filter: string): WorkerInModel => {
    const process = beginLife();
    const intakes = new Intakes();
    const slots = Array.from({ length: given.slots }, () => {
      const child = startModelChild(objects, turns, choices, unmarked);
      const connection = new ModelConnection(rabbit, turns, process);
      return { child, connection, slot: startSlot(filter, connection, child, intakes, given, result) };
    });
    return { filter, process, slots };
  };
  const workers = MODEL_FILTERS.flatMap((filter) =>
    Array.from({ length: WORKERS_PER_FILTER }, () => start(filter)),
  );
  publishAll(given, rabbit, objects);

  for (; result.turns < MAX_TURNS; result.turns++) {
    await turnOfTheLoop();
    breakSomething(workers, choices, result, start, state);
    const takers = workers.flatMap(({ slots }) => slots).filter(({ connection }) => connection.canTake);
    const actions = turns.count + takers.length + (rabbit.waiting.length > 0 ? 1 : 0);
    if (actions === 0) break;
    const chosen = choices.pick(actions);
    if (chosen < turns.count) turns.give(chosen);
    else if (chosen < turns.count + takers.length) takers[chosen - turns.count]!.connection.deliver();
    else comeBack(rabbit);
  }
  run.end();
  for (const [index, steps] of given.tasks.entries()) {
    const left = { rabbit, objects, unmarked, state, rival: given.rival && index === 0 };
    judgeTask(`task-${index}`, steps, left, result);
  }
  judgeQueues(rabbit, result);
  return result;
}

function startSlot(
  filter: string,
  { broker }: ModelConnection,
  { child }: ModelChild,
  intakes: Intakes,
  { retries, crashLimit, carry, slots }: ModelSchedule,
  result: ScheduleResult,
): Slot {
  const metrics = {
    task: (_: string, outcome: string) => {
      if (outcome === 'carried') result.carried++;
    },
    notSent() {},
    phase() {},
    bytes() {},
    inFlight() {},
  };
  const isOurUser = (user: string) => user === PREFIX;
  return new Slot({
    filter,
    prefix: PREFIX,
    name: 'model',
    broker,
    child,
    metrics,
    tracing: NO_TRACING,
    log: NO_LOG,
    taskTimeoutMs: 1_000,
    carry,
    deliveryTimeMs: Number.POSITIVE_INFINITY,
    retryDelaysMs: RETRY_DELAYS_MS.slice(0, retries),
    crashLimit,
    hasNeighbours: slots > 1,
    intakes,
    knownFilters: () => MODEL_FILTERS,
    trust: new Trust({ prefix: PREFIX, isOurUser, replyQueues: [], log: NO_LOG as never }),
  } as unknown as ConstructorParameters<typeof Slot>[0]);
}

function judgeQueues({ queues }: Rabbit, result: ScheduleResult): void {
  if (result.turns === MAX_TURNS) result.faults.push('it never came to an end');
  for (const [name, queue] of queues)
    if (queue.length > 0) result.faults.push(`${queue.length} messages are left in ${name}`);
}

function publishAll({ tasks, copies, rival, forged }: ModelSchedule, rabbit: Rabbit, objects: Objects): void {
  const send = (task: object, headers = {}) =>
    rabbit.publish({
      exchange: PREFIX,
      routingKey: MODEL_FILTERS[0]!,
      body: Buffer.from(JSON.stringify(task)),
      properties: { contentType: 'application/json', headers },
    });
  for (const [index, count] of tasks.entries()) {
    objects.set(`in-${index}`, Buffer.from(`photo ${index}`));
    const task = { id: `task-${index}`, input: `in-${index}`, steps: stepsOf(count) };
    for (let copy = 0; copy < copies; copy++) send(task);
    if (index > 0) continue;
    for (const hop of forged) send(task, forgedHeaders(hop));
    if (rival) send({ ...task, input: RIVAL_INPUT });
  }
  objects.set(RIVAL_INPUT, Buffer.from(RIVAL_PHOTO));
}

function stepsOf(count: number): { filter: string }[] {
  return MODEL_FILTERS.slice(0, count).map((filter) => ({ filter }));
}

function forgedHeaders({ step, attempt, generation }: ForgedHop): Record<string, unknown> {
  return {
    [HEADERS.step]: step,
    [HEADERS.attempt]: attempt,
    [HEADERS.generation]: generation,
    [HEADERS.fingerprint]: 'somebody-else',
    [HEADERS.id]: 'task-1',
  };
}

/**
 * A worker dies (its child may live on for a while), a connection or a child is lost, a worker must stop at once, a task
 * is cancelled, or something in the storage is damaged.
 */
function breakSomething(
  workers: WorkerInModel[],
  choices: Choices,
  result: ScheduleResult,
  start: (filter: string) => WorkerInModel,
  state: StoredState,
): void {
  const fault = choices.fault(7);
  if (fault === undefined) return;
  if (fault === 5) {
    if (state.cancel(`task-${choices.pick(2)}`)) result.cancelled++;
    return;
  }
  if (fault === 6) {
    if (state.damage(choices)) result.damaged++;
    return;
  }
  const index = choices.pick(workers.length);
  const worker = workers[index]!;
  if (fault === 0) {
    result.crashes++;
    worker.process.end();
    for (const { child } of worker.slots) if (choices.pick(2) === 0) child.kill();
    workers[index] = start(worker.filter);
  } else if (fault === 4) {
    result.stopped++;
    const stopped = worker.slots.map(({ slot }) => Promise.all([slot.drain(), slot.giveBack()]));
    void Promise.all(stopped).then(() => worker.process.end());
    workers.push(worker);
    workers[index] = start(worker.filter);
  } else if (fault === 3) {
    result.childrenLost++;
    worker.slots[choices.pick(worker.slots.length)]!.child.kill();
  } else {
    result.connectionsLost++;
    for (const { connection } of worker.slots)
      if (fault === 1) connection.loseConsume();
      else connection.losePublish();
  }
}

function comeBack(rabbit: Rabbit): void {
  const { message, key } = rabbit.waiting.shift()!;
  rabbit.queues.get(key)!.push(message);
}
