/** `darkroom up`: the cluster's scaling on this machine, by the same values file. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { functionNames, loadValues } from '../../../keda/values.ts';
import { assertBrokerFindable, findBroker } from '../broker.ts';
import { LocalScaling, scaledFunction } from '../local-scaling.ts';
import { conventional, positiveNumber } from '../option-values.ts';
import { renderScaling } from '../scaling-view.ts';
import { stopRequested } from '../signals.ts';
import { bold, LiveView, note, print, printJsonLine } from '../terminal.ts';

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
      'at most this many workers for each filter, whatever the values say',
      String(availableParallelism()),
    )
    .option('--speed <factor>', 'scaling decisions on a clock this many times faster', '1')
    .action(up);
  return conventional(command, 'darkroom up --function resize blur --speed 10');
}

async function up(options: UpOptions): Promise<void> {
  const isJson = options.json === true;
  assertBrokerFindable();
  const speed = positiveNumber('--speed', options.speed);
  const maxWorkers = positiveNumber('--max-workers', options.maxWorkers);
  const values = loadValues(options.values);
  const functions = (options.function ?? functionNames(values)).map((filter) =>
    scaledFunction(values, filter, maxWorkers),
  );
  await using found = await findBroker({ onProgress: note, allowInstall: true });
  const storageUrl = process.env.STORAGE_URL || pathToFileURL(resolve('darkroom-storage')).href;
  const env = { ...process.env, ...found.env, STORAGE_URL: storageUrl };
  const log = (text: string) => (isJson ? undefined : note(text));
  const scaling = await LocalScaling.start({ functions, env, speed, log });
  if (!isJson) explain(env);
  await showUntilStopped(scaling, isJson);
}

function explain(env: NodeJS.ProcessEnv): void {
  const { AMQP_URL, STORAGE_URL, DARKROOM_PREFIX } = env;
  const settings = shellSettings({ AMQP_URL, STORAGE_URL, DARKROOM_PREFIX });
  print(
    `\nPublish from another terminal, for example:\n  ${bold(`${settings} npx darkroom publish photo.jpg --step blur:radius=3 --wait`)}\nCtrl-C drains and stops.\n`,
  );
}

async function showUntilStopped(scaling: LocalScaling, isJson: boolean): Promise<void> {
  const view = new LiveView(process.stdout);
  const timer = setInterval(() => {
    if (isJson) printJsonLine({ time: new Date().toISOString(), functions: scaling.view() });
    else view.show(renderScaling(scaling.view()));
  }, VIEW_MS);
  await stopRequested();
  clearInterval(timer);
  view.end();
  note('Draining: tasks in work are finished first …');
  await scaling.stop();
}

/** `NAME='value' …`, as a shell takes it. */
function shellSettings(settings: Record<string, string | undefined>): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}='${value?.replaceAll("'", "'\\''")}'`)
    .join(' ');
}
