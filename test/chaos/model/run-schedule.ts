/** Plays one schedule to its end and says which invariants did not hold. */
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { startWorker, type Worker } from '../../../runtime/worker/worker.ts';
import { connect, createRabbit, PREFIX, type Rabbit } from './broker.ts';
import { type ModelChild, startModelChild } from './child.ts';
import type { Objects } from './storage.ts';
import { beginLife, type Choices, choicesOf, createTurns, type Life } from './virtual-time.ts';
import { waitBy } from './virtual-waits.ts';

export interface Play {
  /** Steps of each task: 1 to 3. */
  tasks: number[];
  /** How often each task is published. */
  copies: number;
  /** Of a failed step. */
  retries: number;
  crashLimit: number;
  schedule: Uint8Array;
}

export interface Played {
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
const NO_METRICS = { task() {}, phase() {}, bytes() {}, inFlight() {} };
const NO_TRACING = { start: () => ({ traceId: undefined, traceparent: undefined, end() {} }) };

interface Post {
  filter: string;
  process: Life;
  child: ModelChild;
  connection: ReturnType<typeof connect>;
  worker: Worker;
}

/** Before the first schedule. */
export function nothingPlayed(): Played {
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

export async function play({ tasks, copies, retries, crashLimit, schedule }: Play): Promise<Played> {
  const choices = choicesOf(schedule);
  const rabbit = createRabbit();
  const objects: Objects = new Map();
  const turns = createTurns();
  const played = nothingPlayed();
  const world = beginLife();
  waitBy(() => turns.take(world, () => {}));
  const unmarked = new Set<string>();
  const hire = (filter: string): Post => {
    const process = beginLife();
    const child = startModelChild(objects, turns, choices, unmarked);
    const connection = connect(rabbit, turns, process);
    const worker = startWorker({
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
    } as unknown as Parameters<typeof startWorker>[0]);
    return { filter, process, child, connection, worker };
  };
  const posts = FILTERS.flatMap((filter) => Array.from({ length: WORKERS_PER_FILTER }, () => hire(filter)));
  publishAll(tasks, copies, rabbit, objects);

  for (; played.turns < MAX_TURNS; played.turns++) {
    await turnOfTheLoop();
    breakSomething(posts, choices, played, hire);
    const takers = posts.filter(({ connection }) => connection.canTake);
    const actions = turns.count + takers.length + (rabbit.waiting.length > 0 ? 1 : 0);
    if (actions === 0) break;
    const chosen = choices.pick(actions);
    if (chosen < turns.count) turns.give(chosen);
    else if (chosen < turns.count + takers.length) takers[chosen - turns.count]!.connection.deliver();
    else comeBack(rabbit);
  }
  world.end();
  for (const [index, steps] of tasks.entries())
    judge(`task-${index}`, steps, { rabbit, objects, unmarked }, played);
  if (played.turns === MAX_TURNS) played.faults.push('it never came to an end');
  const left = [...rabbit.queues].filter(([, queue]) => queue.length > 0);
  for (const [name, queue] of left) played.faults.push(`${queue.length} messages are left in ${name}`);
  return played;
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
  posts: Post[],
  choices: Choices,
  played: Played,
  hire: (filter: string) => Post,
): void {
  const fault = choices.fault(5);
  if (fault === undefined) return;
  const index = choices.pick(posts.length);
  const post = posts[index]!;
  if (fault === 0) {
    played.crashes++;
    post.process.end();
    if (choices.pick(2) === 0) post.child.kill();
    posts[index] = hire(post.filter);
  } else if (fault === 4) {
    played.stopped++;
    void Promise.all([post.worker.drain(), post.worker.giveBack()]).then(() => post.process.end());
    posts.push(post);
    posts[index] = hire(post.filter);
  } else if (fault === 3) {
    played.childrenLost++;
    post.child.kill();
  } else {
    played.connectionsLost++;
    if (fault === 1) post.connection.loseConsume();
    else post.connection.losePublish();
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

function judge(id: string, steps: number, { rabbit, objects, unmarked }: Left, played: Played): void {
  const isEnd = (type: string) => type === 'task.completed' || type === 'task.failed';
  const ends = rabbit.events.filter(({ taskId, type }) => taskId === id && isEnd(type));
  const outcomes = new Set(ends.map(({ type }) => type));
  const letters = rabbit.dead.filter(({ body }) => JSON.parse(body.toString()).id === id);
  const say = (text: string) => played.faults.push(`${id} ${text}`);
  const completed = outcomes.has('task.completed');
  if (unmarked.has(id)) played.unmarked++;
  if (completed) played.completed++;
  else played.failed++;
  if (outcomes.size === 0 && letters.length === 0) {
    say('is lost');
    return;
  }
  if (completed) {
    const applied = FILTERS.slice(0, steps).map((name) => `>${name}`);
    const expected = `photo ${id.slice('task-'.length)}${applied.join('')}`;
    const result = objects.get(`out/${id}.png`)?.toString();
    if (result !== expected) say(`has the result ${result}; expected ${expected}`);
  } else {
    if (letters.length === 0) say('is said to have failed, but is no dead letter');
    if (!anythingBroke(played, letters[0])) say(`failed (${reasonOf(letters[0])}) although nothing broke`);
  }
  // Without its marker another copy of the task cannot know that it has ended.
  if (unmarked.has(id)) return;
  if (outcomes.size > 1) say('has ended twice, completed and failed');
  if (completed && letters.length > 0) say(`is completed and a dead letter (${reasonOf(letters[0])})`);
}

function anythingBroke(played: Played, letter: Letter | undefined): boolean {
  return (
    played.crashes + played.connectionsLost + played.childrenLost + played.stopped > 0 ||
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
