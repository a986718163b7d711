/** `darkroom up`: the cluster's scaling on this machine, by the same values file. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import { type Autoscaler, type FunctionView, startAutoscaler } from '../../../keda/autoscaler.ts';
import { settingsFromValues } from '../../../keda/model.ts';
import { functionNames, loadValues } from '../../../keda/values.ts';
import { openBroker } from '../../amqp/broker.ts';
import { inspectQueue, names } from '../../amqp/topology.ts';
import { readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { findBroker } from '../broker.ts';
import { declareAll, management } from '../session.ts';
import { bold, conventional, dim, note, print } from '../terminal.ts';

const VIEW_MS = 500;
const DEFAULT_VALUES = fileURLToPath(new URL('../../../helm/values-dev.yaml', import.meta.url));

interface UpOptions {
  values: string[];
  function?: string[];
  maxWorkers: string;
  speed: string;
  json?: boolean;
}

export function upCommand(): Command {
  const command = new Command('up')
    .description(
      'Runs workers on this machine, from zero, scaled on queue length by the values file the chart uses. Finds or starts a broker. Ctrl-C drains.',
    )
    .option('--values <file...>', 'values files, merged as Helm does', [DEFAULT_VALUES])
    .option('--function <name...>', 'only these filters (default: all in the values)')
    .option(
      '--max-workers <n>',
      'at most so many workers a filter, whatever the values say',
      String(availableParallelism()),
    )
    .option('--speed <factor>', 'scaling decisions on a clock so many times faster', '1')
    .action(up);
  return conventional(command, 'darkroom up --function resize blur --speed 10');
}

async function up(options: UpOptions): Promise<void> {
  const speed = positive('--speed', options.speed);
  const values = loadValues(options.values);
  const wanted = options.function ?? functionNames(values);
  const functions = wanted.map((filter) => ({
    filter,
    settings: capped(settingsFromValues(values, filter), positive('--max-workers', options.maxWorkers)),
  }));
  await using found = await findBroker({ onProgress: note, allowInstall: true });
  const storageUrl = process.env.STORAGE_URL || pathToFileURL(resolve('darkroom-storage')).href;
  const env = {
    ...process.env,
    AMQP_URL: found.amqpUrl,
    STORAGE_URL: storageUrl,
    ...(found.managementUrl !== undefined && { AMQP_MANAGEMENT_URL: found.managementUrl }),
  };
  const autoscaler = await startScaling(env, functions, speed, (text) =>
    options.json === true ? undefined : note(text),
  );
  if (options.json !== true) {
    const settings = shellSettings({
      AMQP_URL: found.amqpUrl,
      STORAGE_URL: storageUrl,
      DARKROOM_PREFIX: process.env.DARKROOM_PREFIX,
    });
    print(
      `\nPublish from another terminal, for example:\n  ${bold(`${settings} npx darkroom publish photo.jpg --step blur:radius=3 --wait`)}\nCtrl-C drains and stops.\n`,
    );
  }
  await showUntilStopped(autoscaler, options.json === true);
}

/**
 * The autoscaler over a broker that is there, its topology declared. The management API's counts are some seconds
 * old, as they are for KEDA; what waits is asked for over AMQP too, so that the first task does not wait for them.
 */
export async function startScaling(
  env: NodeJS.ProcessEnv,
  functions: { filter: string; settings: ReturnType<typeof settingsFromValues> }[],
  speed: number,
  log: (text: string) => void,
): Promise<Autoscaler> {
  const config = readConfig(env);
  const at = names(config.prefix);
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const broker = openBroker({ ...config.amqp, name: 'darkroom up', log: silent });
  await broker.ready(AbortSignal.timeout(config.amqp.connectTimeoutMs));
  await declareAll(broker, config);
  const api = management(config);
  const autoscaler = startAutoscaler({
    functions,
    env,
    speed,
    observe: async (filter) => {
      const queue = at.queue(filter);
      const [counted, now] = await Promise.all([
        api.queue(queue),
        broker.withChannel((channel) => inspectQueue(channel, queue)),
      ]);
      return { ready: Math.max(counted.ready, now.messages), unacked: counted.unacked };
    },
    log: ({ filter, text }) => log(`${filter}: ${text}`),
  });
  return {
    view: autoscaler.view,
    async stop() {
      await autoscaler.stop();
      await broker.close();
    },
  };
}

/** One line a filter: what waits, what is in work, who works. */
export function renderView(views: FunctionView[]): string {
  const shown = views.filter(
    ({ ready, unacked, wanted, running, draining, settled }) =>
      ready + unacked + wanted + running + draining + settled > 0,
  );
  if (shown.length === 0) return dim(`all ${views.length} filters at zero workers, all queues empty`);
  const width = Math.max(...shown.map(({ filter }) => filter.length));
  return shown
    .map(
      (view) =>
        `${view.filter.padEnd(width)}  ${workers(view)}  waiting ${String(view.ready).padStart(5)}  in work ${String(view.unacked).padStart(3)}  ${view.perSecond.toFixed(1).padStart(6)}/s  ${dim(view.error ?? view.reason).slice(0, 90)}`,
    )
    .join('\n');
}

const BAR_CHARACTERS = 10;

function workers({ running, draining, wanted }: FunctionView): string {
  const bar = '●'.repeat(Math.min(running, BAR_CHARACTERS)) + '◌'.repeat(Math.min(draining, BAR_CHARACTERS));
  return `${String(wanted).padStart(2)} workers ${bar.padEnd(BAR_CHARACTERS)}`;
}

async function showUntilStopped(autoscaler: Autoscaler, json: boolean): Promise<void> {
  const live = process.stdout.isTTY && !json;
  const update = createLogUpdate(process.stdout);
  const timer = setInterval(() => {
    if (json) print(JSON.stringify({ time: new Date().toISOString(), functions: autoscaler.view() }));
    else if (live) update(renderView(autoscaler.view()));
  }, VIEW_MS);
  await stopRequested();
  clearInterval(timer);
  if (live) update.done();
  note('draining: tasks in work are finished first …');
  await autoscaler.stop();
}

export function stopRequested(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
  });
}

function capped(
  settings: ReturnType<typeof settingsFromValues>,
  most: number,
): ReturnType<typeof settingsFromValues> {
  return {
    ...settings,
    maxReplicas: Math.max(1, Math.min(settings.maxReplicas, most)),
    minReplicas: Math.min(settings.minReplicas, most),
  };
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UserError(`${option}: expected a number above 0, got "${text}".`);
  return value;
}

/** `NAME='value' …`, as a shell takes it. */
function shellSettings(settings: Record<string, string | undefined>): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}='${value?.replaceAll("'", "'\\''")}'`)
    .join(' ');
}
