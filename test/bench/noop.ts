/** What the runtime costs: tasks a second that do nothing, and the CPU time that their worker's parent takes. */
import { flatPng } from '../support/pictures.ts';
import { cpuMs } from '../support/process-facts.ts';
import { ConsumerProcess, NOOP, NOOP_FUNCTIONS } from './consumer-process.ts';
import { Darkroom } from './darkroom.ts';
import { atLeast, type Bench, type BenchmarkRow, compared, notAbove } from './row.ts';
import { takeTurns } from './turns.ts';

const TASKS = 2_000;
const TASKS_FOR_CPU = 3_000;
/** Code is compiled, and the telemetry is loaded. */
const WARM_UP_TASKS = 1_000;
const AGAINST = 'a bare amqplib consumer: publish, confirm, ack';

/**
 * No-op tasks a second at prefetch 1, against a bare consumer that publishes with a confirm and acknowledges: once for
 * what the bare one does too (the way through the broker), once with all that makes a task safe.
 */
export async function benchNoop(bench: Bench): Promise<BenchmarkRow[]> {
  await using stack = new AsyncDisposableStack();
  const { amqpUrl } = bench;
  const bare = stack.use(await ConsumerProcess.open({ amqpUrl, kind: 'bare-consumer' }));
  const path = stack.use(await ConsumerProcess.open({ amqpUrl, kind: 'idle-worker' }));
  const whole = stack.use(await startNoops(bench));
  const count = bench.count(TASKS);
  const rates = await takeTurns(
    {
      bare: { contestant: bare, count },
      path: { contestant: path, count },
      whole: { contestant: whole, count: Math.ceil(count / 4) },
    },
    bench.rounds,
  );
  const unit = 'tasks/s';
  return [
    atLeast(0.9, {
      name: 'no-op tasks through the broker, prefetch 1',
      unit,
      ours: rates.path,
      against: AGAINST,
      theirs: rates.bare,
      note: 'parse, events, confirm, ack; the work itself answers at once',
    }),
    compared({
      name: 'no-op tasks, all of it',
      unit,
      ours: rates.whole,
      against: AGAINST,
      theirs: rates.bare,
      note: 'also a child process, an input read, a result and its marker written and synced to disk',
    }),
    notAbove(1, {
      name: "parent's CPU, no-op tasks",
      unit: 'ms CPU a task',
      ours: await parentCpuMs(whole, bench),
      note: 'once warm; its child not counted',
    }),
  ];
}

async function startNoops({ amqpUrl }: Bench): Promise<Darkroom> {
  return await Darkroom.start({
    amqpUrl,
    env: { FUNCTIONS_DIR: NOOP_FUNCTIONS },
    filters: [NOOP],
    layout: { workers: 1, slots: 1 },
    photo: await flatPng(1, 1),
    steps: [{ filter: NOOP }],
  });
}

async function parentCpuMs(whole: Darkroom, bench: Bench): Promise<number> {
  const [worker] = whole.workers;
  const tasks = bench.count(TASKS_FOR_CPU);
  await whole.run(bench.count(WARM_UP_TASKS));
  const before = await cpuMs(worker!.pid);
  await whole.run(tasks);
  return ((await cpuMs(worker!.pid)) - before) / tasks;
}
