/** The network between workers and broker is cut in every way, also while connections are being made. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { until } from '../../support/until.ts';
import { openAuditedInstallation } from '../support/audited-installation.ts';
import { startPump } from '../support/pump.ts';
import type { Random } from '../support/random.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { FILTERS, prepareTaskKinds } from '../support/tasks.ts';
import type { WorkerProcesses } from '../support/worker-processes.ts';

const OPEN_TASKS = 30;
/** Longer than the heartbeat needs to notice silence. */
const SILENCE_MS = 3_500;
const BACK_LIMIT_MS = 30_000;
/** The whole handshake of a connection has about this many bytes from the broker. */
const HANDSHAKE_BYTES = 1_400;
const SHORT_TIMES = { AMQP_HEARTBEAT: '1s', AMQP_CONNECT_TIMEOUT: '3s', AMQP_CONFIRM_TIMEOUT: '5s' };

type Cut = (proxy: FaultProxy, random: Random) => Promise<unknown>;

const CUTS: Record<string, Cut> = {
  reset: async (proxy) => proxy.reset(),
  end: async (proxy) => proxy.end(),
  'black hole': (proxy) => heldFor(proxy, () => proxy.blackHole()),
  'half-open': async (proxy) => {
    proxy.halfOpen();
    await sleep(SILENCE_MS);
  },
  'one byte a second': (proxy) => heldFor(proxy, () => proxy.throttle(1)),
  'reset during set-up': (proxy, random) => duringSetUp(proxy, random, 'reset'),
  'end during set-up': (proxy, random) => duringSetUp(proxy, random, 'end'),
};

export const cuts: Scenario = {
  name: 'cuts',
  shows: 'connections cut: reset, black hole, half-open, one byte a second, during set-up',
  run,
};

async function run({ choose, node, random, say }: Stage): Promise<ScenarioOutcome> {
  const wanted = choose(14, 100);
  await using installation = await openAuditedInstallation({ amqpUrl: node.amqpUrl, env: SHORT_TIMES });
  const kinds = await prepareTaskKinds(installation, random);
  // Each worker has a network of its own, so that they are cut independently.
  const proxies = await Promise.all(FILTERS.map(() => startFaultProxy(node.amqpUrl)));
  await using _ = {
    [Symbol.asyncDispose]: async () =>
      void (await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()))),
  };
  const workers = installation.supervise(
    FILTERS.map((filter, index) => ({
      filters: [filter],
      env: { AMQP_URL: proxies[index]!.through(node.amqpUrl) },
    })),
  );
  await workers.ready();
  const pump = startPump(installation, kinds, random, OPEN_TASKS);
  const plan = random.shuffle(
    Array.from({ length: wanted }, (_, n) => Object.keys(CUTS)[n % Object.keys(CUTS).length]!),
  );
  const done: { name: string; backMs: number }[] = [];
  await Promise.all(
    proxies.map(async (proxy, index) => {
      for (let name = plan.pop(); name !== undefined; name = plan.pop()) {
        await CUTS[name]!(proxy, random);
        done.push({ name, backMs: await consumingAgain(workers, index) });
        say(`${done.length}/${wanted} cuts, last: ${name}`);
        await sleep(random.integer(100, 500));
      }
    }),
  );
  await pump.stop();
  const outcome = await installation.finish(workers);
  outcome.kills = done.length;
  outcome.notes.push(
    ...Object.keys(CUTS).map((name) =>
      summary(
        name,
        done.filter((cut) => cut.name === name),
      ),
    ),
  );
  return outcome;
}

function summary(name: string, cuts: { backMs: number }[]): string {
  const worst = Math.max(0, ...cuts.map(({ backMs }) => backMs)) / 1_000;
  return `${cuts.length} × ${name}: consuming again after at most ${worst.toFixed(1)} s`;
}

async function consumingAgain(workers: WorkerProcesses, slot: number): Promise<number> {
  const beganMs = performance.now();
  await until(() => workers.current[slot]!.isReady(), 'the worker to consume again', BACK_LIMIT_MS);
  return performance.now() - beganMs;
}

async function heldFor(proxy: FaultProxy, hold: () => void): Promise<void> {
  hold();
  await sleep(SILENCE_MS);
  await proxy.heal();
}

/** The connection that follows dies somewhere between its first byte and its consumer. */
async function duringSetUp(proxy: FaultProxy, random: Random, how: 'reset' | 'end'): Promise<void> {
  const before = proxy.accepted;
  proxy.cutNext(random.integer(0, HANDSHAKE_BYTES), how);
  proxy.reset();
  await until(() => proxy.accepted > before + 1, 'the next attempts to connect', BACK_LIMIT_MS);
}
