/** What the runtime costs: tasks a second that do nothing. */
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import { openBroker } from '../../runtime/amqp/broker.ts';
import { names } from '../../runtime/amqp/topology.ts';
import { readConfig } from '../../runtime/config.ts';
import { createLog } from '../../runtime/telemetry/log.ts';
import { Metrics } from '../../runtime/telemetry/metrics.ts';
import { Tracing } from '../../runtime/telemetry/tracing.ts';
import type { Child } from '../../runtime/worker/child-process.ts';
import { Slot } from '../../runtime/worker/slot.ts';
import { Trust } from '../../runtime/worker/trust.ts';
import { type Installation, startInstallation } from '../support/installation.ts';
import { flatPng } from '../support/pictures.ts';
import { until } from '../support/until.ts';
import { completedTasks } from './completions.ts';
import { atLeast, type BenchmarkRow, median } from './row.ts';

const FUNCTIONS_DIR = fileURLToPath(new URL('../fixtures/functions', import.meta.url));
const TASKS = 600;
const ROUNDS = 3;

/**
 * No-op tasks a second at prefetch 1, against a bare consumer that publishes with a confirm and acknowledges:
 * once for what the bare one does too (the way through the broker), once with all that makes a task safe.
 */
export async function benchNoop(amqpUrl: string): Promise<BenchmarkRow[]> {
  const rates = { bare: [] as number[], brokerPath: [] as number[], whole: [] as number[] };
  await using at = await startInstallation({ amqpUrl, env: { FUNCTIONS_DIR, LOG_LEVEL: 'warn' } });
  await at.put('dot.png', await flatPng(1, 1));
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

/** The real worker in this process, over a child that does nothing. */
async function withoutChild(at: Installation, amqpUrl: string, round: number): Promise<number> {
  const log = createLog('silent');
  const config = readConfig(at.env);
  const broker = openBroker({ ...config.amqp, url: amqpUrl, name: 'bench', log });
  await publishAll(at, `path-${round}`);
  const before = completedTasks(at);
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
    trust: new Trust({ prefix: at.prefix, isOurUser: () => true, replyQueues: [], log }),
  });
  await until(() => completedTasks(at) >= before + TASKS, 'all no-ops', 120_000);
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
  mark: async (_, marker) => ({ marker, isSameTask: true, isStored: true }),
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
  const before = completedTasks(at);
  const worker = await at.worker('noop', { LOG_LEVEL: 'info' });
  // From the first completion on, so that start-up does not count.
  await until(() => completedTasks(at) > before, 'the first no-op');
  const [start, first] = [performance.now(), completedTasks(at)];
  await until(() => completedTasks(at) >= before + TASKS, 'all no-ops', 300_000);
  const rate = ((before + TASKS - first) * 1_000) / (performance.now() - start);
  await worker.stop();
  return rate;
}

async function publishAll(at: Installation, name: string): Promise<void> {
  const tasks = Array.from({ length: TASKS }, (_, index) => ({
    id: `${name}-${index}`,
    input: 'dot.png',
    steps: [{ filter: 'noop' }],
  }));
  await Promise.all(tasks.map((task) => at.publish(task)));
}
