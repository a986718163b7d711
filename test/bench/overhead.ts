/** What the runtime costs: tasks that do nothing, start-up, memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import sharp from 'sharp';
import { openBroker } from '../../runtime/amqp/broker.ts';
import { names } from '../../runtime/amqp/topology.ts';
import { readConfig } from '../../runtime/config.ts';
import { createLog } from '../../runtime/telemetry/log.ts';
import { Metrics } from '../../runtime/telemetry/metrics.ts';
import { Tracing } from '../../runtime/telemetry/tracing.ts';
import type { Child } from '../../runtime/worker/child-process.ts';
import { Slot } from '../../runtime/worker/slot.ts';
import { type Installation, startInstallation, type WorkerHandle } from '../support/installation.ts';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { until } from '../support/until.ts';
import { atLeast, median, type Row } from './row.ts';

const FUNCTIONS_DIR = fileURLToPath(new URL('../fixtures/functions', import.meta.url));
const LAUNCHER = fileURLToPath(new URL('../../runtime/cli/darkroom.mjs', import.meta.url));
const TASKS = 600;
const ROUNDS = 3;
const STARTS = 9;
const PHOTOS_FOR_PEAK = 20;
const MEBIBYTE = 1_048_576;

/**
 * No-op tasks a second at prefetch 1, against a bare consumer that publishes with a confirm and acknowledges:
 * once for what the bare one does too (the way through the broker), once with all that makes a task safe.
 */
export async function benchNoop(amqpUrl: string): Promise<Row[]> {
  const rates = { bare: [] as number[], brokerPath: [] as number[], whole: [] as number[] };
  await using at = await startInstallation({ amqpUrl, env: { FUNCTIONS_DIR, LOG_LEVEL: 'warn' } });
  await at.put('dot.png', await dot());
  for (let round = 0; round < ROUNDS; round++) {
    rates.bare.push(await bareConsumer(at, amqpUrl));
    rates.brokerPath.push(await withoutChild(at, amqpUrl, round));
    rates.whole.push(await wholeWorker(at, round));
  }
  const theirs = median(rates.bare);
  const against = 'a bare amqplib consumer: publish, confirm, ack';
  return [
    atLeast(0.9, {
      name: 'no-op tasks through the broker, prefetch 1',
      unit: 'tasks/s',
      ours: median(rates.brokerPath),
      against,
      theirs,
      note: 'parse, events, confirm, ack; the work itself answers at once',
    }),
    {
      name: 'no-op tasks, all of it',
      unit: 'tasks/s',
      ours: median(rates.whole),
      against,
      theirs,
      ratio: median(rates.whole) / theirs,
      note: 'also a child process, an input read, a result and its marker written and synced to disk',
    },
  ];
}

function dot(): Promise<Buffer> {
  return sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
}

/** The real worker in this process, over a child that does nothing. */
async function withoutChild(at: Installation, amqpUrl: string, round: number): Promise<number> {
  const log = createLog('silent');
  const config = readConfig(at.env);
  const broker = openBroker({ ...config.amqp, url: amqpUrl, name: 'bench', log });
  await publishAll(at, `path-${round}`);
  const before = completed(at);
  const start = performance.now();
  const slot = new Slot({
    filter: 'noop',
    prefix: at.prefix,
    name: 'bench',
    broker,
    child: IDLE_CHILD,
    metrics: new Metrics(),
    tracing: new Tracing(),
    log,
    taskTimeoutMs: 60_000,
    retryDelaysMs: config.retry.delaysMs,
    crashLimit: 5,
    knownFilters: () => ['noop'],
  });
  await until(() => completed(at) >= before + TASKS, 'all no-ops', 120_000);
  const rate = (TASKS * 1_000) / (performance.now() - start);
  await slot.drain();
  await broker.close();
  return rate;
}

const IDLE_CHILD: Child = {
  run: async ({ task, generation }) => ({
    kind: 'completed',
    marker: {
      task_id: task.id,
      generation,
      fingerprint: task.fingerprint,
      outcome: 'completed',
      time: new Date().toISOString(),
      data: {},
    },
    timings: { fetch: 0, decode: 0, filter: 0, encode: 0, store: 0 },
    bytesIn: 0,
    bytesOut: 0,
  }),
  mark: async (marker) => marker,
  clean: async () => {},
  kill: () => {},
  close: async () => {},
  pid: undefined,
  healthy: true,
  restarts: 0,
};

async function bareConsumer(at: Installation, amqpUrl: string): Promise<number> {
  const { queue, events } = { queue: names(at.prefix).queue('noop'), events: names(at.prefix).events };
  await publishAll(at, 'bare');
  const connection = await connect(amqpUrl, { noDelay: true });
  const incoming = await connection.createChannel();
  const outgoing = await connection.createConfirmChannel();
  await incoming.prefetch(1);
  let settled = 0;
  const done = Promise.withResolvers<void>();
  const start = performance.now();
  await incoming.consume(queue, (message) => {
    if (message === null) return;
    outgoing.publish(events, 'bare', message.content, { persistent: true }, () => {
      incoming.ack(message);
      if (++settled === TASKS) done.resolve();
    });
  });
  await done.promise;
  const rate = (TASKS * 1_000) / (performance.now() - start);
  await incoming.close();
  await connection.close();
  return rate;
}

async function wholeWorker(at: Installation, round: number): Promise<number> {
  await publishAll(at, `noop-${round}`);
  const before = completed(at);
  const worker = await at.worker('noop', { LOG_LEVEL: 'info' });
  // From the first completion on, so that start-up does not count.
  await until(() => completed(at) > before, 'the first no-op');
  const [start, first] = [performance.now(), completed(at)];
  await until(() => completed(at) >= before + TASKS, 'all no-ops', 300_000);
  const rate = ((before + TASKS - first) * 1_000) / (performance.now() - start);
  await worker.stop();
  return rate;
}

function completed(at: Installation): number {
  return at.events.filter(({ key }) => key === 'task.completed').length;
}

async function publishAll(at: Installation, name: string): Promise<void> {
  const tasks = Array.from({ length: TASKS }, (_, index) => ({
    id: `${name}-${index}`,
    input: 'dot.png',
    steps: [{ filter: 'noop' }],
  }));
  await Promise.all(tasks.map((task) => at.publish(task)));
}

/** From the start of the process to a registered consumer, against Node doing nothing. */
export async function benchStartup(amqpUrl: string): Promise<Row[]> {
  await using at = await startInstallation({ amqpUrl });
  const ours: number[] = [];
  const bare: number[] = [];
  for (let start = 0; start < STARTS; start++) {
    bare.push(await timeBareNode());
    ours.push(await timeToConsuming(at));
  }
  const [medianOurs, medianBare] = [median(ours), median(bare)];
  return [
    {
      name: 'worker start to consuming',
      unit: 'ms',
      ours: medianOurs,
      against: 'node -e 0',
      theirs: medianBare,
      ratio: medianOurs / medianBare,
      goal: '≤ 250 ms',
      met: medianOurs <= 250,
    },
  ];
}

function timeBareNode(): Promise<number> {
  const start = performance.now();
  const node = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  return new Promise((resolve) => node.once('exit', () => resolve(performance.now() - start)));
}

async function timeToConsuming(at: Installation): Promise<number> {
  const start = performance.now();
  const worker = spawn(process.execPath, [LAUNCHER, 'worker', 'convert'], {
    env: at.env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise<void>((resolve) =>
    createInterface({ input: worker.stdout }).on('line', (line) => line.includes('"consuming"') && resolve()),
  );
  const ms = performance.now() - start;
  await ended(worker);
  return ms;
}

async function ended(worker: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGTERM');
  await gone;
}

/** Resident memory of parent and child: idle, and the highest over 12-megapixel photos. */
export async function benchMemory(amqpUrl: string): Promise<Row[]> {
  await using at = await startInstallation({ amqpUrl });
  const worker = await at.worker('resize');
  await until(async () => (await worker.get('/metrics')).status === 200, 'the metrics');
  const idle = await memoryOf(worker);
  await at.put('photo.jpg', await largePhotoJpeg());
  for (let photo = 0; photo < PHOTOS_FOR_PEAK; photo++) {
    await at.publish({
      id: `peak-${photo}`,
      input: 'photo.jpg',
      steps: [{ filter: 'resize', params: { width: 2_000 } }],
    });
  }
  await until(() => completed(at) >= PHOTOS_FOR_PEAK, 'the photos', 120_000);
  const peak = await memoryOf(worker);
  return [
    { name: 'parent, idle', unit: 'MiB', ours: idle.parent.now },
    { name: 'child, idle', unit: 'MiB', ours: idle.child.now },
    { name: 'parent, highest', unit: 'MiB', ours: peak.parent.highest },
    { name: 'child, highest over 12 MP photos', unit: 'MiB', ours: peak.child.highest },
  ];
}

async function memoryOf(worker: WorkerHandle) {
  return { parent: await residentOf(worker.process.pid!), child: await residentOf(await worker.childPid()) };
}

async function residentOf(pid: number): Promise<{ now: number; highest: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const read = (field: string) =>
    (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024) / MEBIBYTE;
  return { now: read('VmRSS'), highest: read('VmHWM') };
}
