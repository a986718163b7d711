/** The real slot of a worker over a child that answers at once: `idle-worker.ts FILTER`. */
import { openBroker } from '../../../runtime/amqp/broker.ts';
import { readConfig } from '../../../runtime/config.ts';
import { createLog } from '../../../runtime/telemetry/log.ts';
import { Metrics } from '../../../runtime/telemetry/metrics.ts';
import { Tracing } from '../../../runtime/telemetry/tracing.ts';
import type { Child } from '../../../runtime/worker/child-process.ts';
import { Slot } from '../../../runtime/worker/slot.ts';
import { Trust } from '../../../runtime/worker/trust.ts';

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
  leave: async () => ({ kind: 'restart' }),
  mark: async (_, marker) => ({ marker, isSameTask: true, isStored: true }),
  clean: async () => {},
  kill: () => {},
  close: async () => {},
  pid: undefined,
  healthy: true,
  restarts: 0,
};

const [filter = ''] = process.argv.slice(2);
const config = readConfig();
// As a worker logs: to a pipe, and as much.
const log = createLog(config.logLevel, { worker: 'bench' });
const broker = openBroker({ ...config.amqp, name: 'bench', log });
const metrics = new Metrics();
const tracing = new Tracing();
await Promise.all([metrics.load(), tracing.load()]);
new Slot({
  filter,
  prefix: config.prefix,
  name: 'bench',
  broker,
  child: IDLE_CHILD,
  metrics,
  tracing,
  log,
  taskTimeoutMs: config.timeouts.taskMs,
  carry: config.carry,
  deliveryTimeMs: config.timeouts.consumerMs,
  retryDelaysMs: config.retry.delaysMs,
  crashLimit: config.retry.crashLimit,
  knownFilters: () => [filter],
  trust: new Trust({
    prefix: config.prefix,
    isOurUser: (user) => user === broker.state.user,
    replyQueues: config.replyQueues,
    log,
  }),
});
for await (const _ of process.stdin);
process.exit();
