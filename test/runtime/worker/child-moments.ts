/**
 * Has a child do jobs and end in the midst of them in the way and at the moment that it is told, says what became of
 * each as one line of JSON, and then closes the child: for child-process.test.ts, which sees whether anything stays.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createLog } from '../../../runtime/telemetry/log.ts';
import { ChildProcess } from '../../../runtime/worker/child-process.ts';
import type { Job } from '../../../runtime/worker/protocol.ts';

export type Moment =
  /** kill -9 so long after the start, or after the job is handed over. */
  | { how: 'killed' | 'killed at work'; ms: number }
  /** A filter's own doing. */
  | { how: 'meddle'; params: object }
  | { how: 'closed at work' | 'stopped at work' | 'unsendable' | 'well' | 'late' | 'too large' };

const [storageFolder = '', text = '[]'] = process.argv.slice(2);
const FUNCTIONS_DIR = fileURLToPath(new URL('../../fixtures/functions', import.meta.url));
const TIMEOUT_MS = 9_000;
const MEDDLING_MS = 3_000;
const SHORT_MS = 300;
const MIB = 1_048_576;
let jobs = 0;

for (const moment of JSON.parse(text) as Moment[]) {
  const child = newChild();
  const startMs = performance.now();
  const result = await resultOf(child, moment);
  const ms = performance.now() - startMs;
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  // What is left over a moment later belongs to nobody; a child that takes its place has one until it is ready.
  const next = moment.how === 'closed at work' ? undefined : await child.run(job('noop'), TIMEOUT_MS);
  const left = timers();
  await child.close();
  console.log(JSON.stringify({ moment, result, ms, next: next?.kind, left, closed: timers() }));
}

function newChild(): ChildProcess {
  return new ChildProcess({
    settings: {
      functions: ['noop', 'sleep', 'meddle', 'balloon'],
      functionsDir: FUNCTIONS_DIR,
      storageUrl: pathToFileURL(storageFolder).href,
      buckets: [],
      https: { enabled: false, hosts: [] },
      limits: { inputBytes: MIB, pixels: 1e6, frames: 1, outputPixels: 1e6, svg: false, threads: 1 },
      inputGraceMs: 0,
    },
    threads: 1,
    user: { uid: undefined, gid: undefined },
    maxTasks: 100,
    maxMemoryBytes: 400 * MIB,
    isAlone: true,
    log: createLog('silent'),
    onBroken: (reason) => console.log(JSON.stringify({ reason })),
  });
}

async function resultOf(child: ChildProcess, moment: Moment): Promise<unknown> {
  if (moment.how === 'killed') {
    const running = child.run(job('sleep', { ms: 200 }), TIMEOUT_MS);
    await sleep(moment.ms);
    killNow(child);
    return await running;
  }
  if (moment.how === 'unsendable') {
    const { pid } = child;
    const result = await child.run(job('noop', { f: () => {} }), SHORT_MS);
    await sleep(SHORT_MS * 2);
    return { ...result, isSameChild: child.pid === pid };
  }
  // From a child that is up.
  await child.run(job('noop'), TIMEOUT_MS);
  if (moment.how === 'meddle') return await child.run(job('meddle', moment.params), MEDDLING_MS);
  if (moment.how === 'too large') return await child.run(job('balloon'), TIMEOUT_MS);
  if (moment.how === 'late') return await child.run(job('sleep', { ms: 9_000 }), SHORT_MS);
  const running = child.run(job('sleep', { ms: moment.how === 'well' ? 1 : 1_000 }), TIMEOUT_MS);
  if (moment.how === 'killed at work') {
    await sleep(moment.ms);
    killNow(child);
  }
  if (moment.how === 'stopped at work') child.kill();
  if (moment.how === 'closed at work') await child.close();
  return await running;
}

function killNow(child: ChildProcess): void {
  try {
    process.kill(child.pid!, 'SIGKILL');
  } catch {
    // It has gone by itself.
  }
}

function job(filter: string, params: object = {}): Job {
  const id = `job-${++jobs}`;
  const task = {
    id,
    input: 'dot.png',
    steps: [{ filter, params }],
    output: {},
    timeoutMs: undefined,
    fingerprint: id,
  };
  const nothing = { history: [], queueMs: null, about: {}, waitingSinceMs: null };
  return {
    task,
    step: 0,
    fromStep: 0,
    carry: 'none',
    generation: 0,
    attempt: 0,
    isRepeat: false,
    isRestart: false,
    wantsImage: false,
    ...nothing,
  } as Job;
}
