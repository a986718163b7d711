/** `darkroom recommend`: how many workers each queue needs now, and why. */
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { settingsFromValues } from '../../../keda/model.ts';
import { sampleQueues } from '../../../keda/recommend/live.ts';
import { readRecorded } from '../../../keda/recommend/recorded.ts';
import type { QueueSample } from '../../../keda/recommend/sample.ts';
import { type Recommendation, recommend } from '../../../keda/recommend.ts';
import { functionNames, functionValues, loadValues, type Values } from '../../../keda/values.ts';
import { readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { ManagementClient, ManagementError } from '../management.ts';
import { conventional, positiveDuration } from '../option-values.ts';
import { ProgressBar } from '../progress-bar.ts';
import { bold, escapeControls, green, print, printJson, printTable, red, yellow } from '../terminal.ts';

const DEFAULT_VALUES = fileURLToPath(new URL('../../../helm/values.yaml', import.meta.url));
const DEFAULT_SPAN_MS = 15_000;
/** The broker's counts change every 5 s; looking twice as often misses none. */
const SAMPLE_EVERY_MS = 2_500;
const URGENCIES = ['critical', 'high', 'normal', 'low'] as const;

interface RecommendOptions {
  values?: string[];
  function?: string[];
  from?: string;
  managementUrl?: string;
  for?: number;
  json?: boolean;
}

type Named = Recommendation & { function: string };

export function recommendCommand(): Command {
  const command = new Command('recommend')
    .description(
      'Recommends a replica count for each queue from its metrics: scale-up, scale-down, hold or investigate, with the reason, the confidence (0 to 1) and the urgency. Looks at the broker for some seconds, or at recorded metrics.',
    )
    .option('-f, --values <file...>', "values files, merged as Helm does (default: the chart's values.yaml)")
    .option('--function <name...>', 'only these (default: all in the values)')
    .option(
      '--from <file>',
      'recorded metrics, as JSON: { "blur": [{ "at": "2026-01-01T00:00:00Z", "ready": 3, "unacked": 1, "consumers": 1 }, …] }',
    )
    .option(
      '--management-url <url>',
      "the broker's management API (default: AMQP_MANAGEMENT_URL, else beside AMQP_URL)",
    )
    .option('--for <time>', 'how long to look at the broker (default 15s)', positiveDuration)
    .action(run);
  return conventional(
    command,
    'darkroom recommend -f helm/values-prod.yaml',
    'darkroom recommend --from metrics.json --function blur --json',
  );
}

async function run(options: RecommendOptions): Promise<void> {
  const values = loadValues(options.values ?? [DEFAULT_VALUES]);
  const names = options.function ?? functionNames(values);
  for (const name of names) functionValues(values, name);
  const samples =
    options.from === undefined ? await look(names, options) : recordedOf(options.from, options.function);
  const found = [...samples].map(
    ([name, list]): Named => ({ function: name, ...recommend(list, settingsOf(values, name)) }),
  );
  found.sort((a, b) => URGENCIES.indexOf(a.urgency) - URGENCIES.indexOf(b.urgency));
  if (options.json === true) printJson(found);
  else show(found);
}

function recordedOf(file: string, wanted: string[] | undefined): Map<string, QueueSample[]> {
  const recorded = readRecorded(file, wanted?.[0] ?? '');
  const chosen = [...recorded].filter(([name]) => wanted === undefined || wanted.includes(name));
  if (chosen.length > 0) return new Map(chosen);
  throw new UserError(
    `${file} has no metrics of ${wanted?.join(', ')}; it has ${[...recorded.keys()].join(', ')}`,
  );
}

async function look(
  names: readonly string[],
  options: RecommendOptions,
): Promise<Map<string, QueueSample[]>> {
  const config = readConfig();
  const { managementUrl = config.management.managementUrl } = options;
  const management = new ManagementClient({ ...config.management, managementUrl });
  const spanMs = options.for ?? DEFAULT_SPAN_MS;
  const bar = new ProgressBar(Math.floor(spanMs / SAMPLE_EVERY_MS) + 1, 'looks at the broker');
  try {
    const onSample = (done: number) => bar.update(done);
    const found = await sampleQueues({
      management,
      prefix: config.prefix,
      functions: names,
      spanMs,
      everyMs: SAMPLE_EVERY_MS,
      onSample,
    });
    if (found.size > 0) return found;
  } catch (error) {
    if (error instanceof ManagementError)
      throw new UserError(`${error.message}\nSet AMQP_MANAGEMENT_URL or --management-url.`, { cause: error });
    throw error;
  } finally {
    bar.stop();
  }
  throw new UserError(
    `the broker has none of the queues ${names.map((name) => `${config.prefix}.${name}`).join(', ')}; darkroom queues declare makes them`,
  );
}

/** Metrics without a name, or of a function that the values lack, are judged by the defaults. */
function settingsOf(values: Values, name: string) {
  return settingsFromValues(values, functionNames(values).includes(name) ? name : '');
}

function show(found: readonly Named[]): void {
  printTable(
    ['Function', 'Now', 'Recommended', 'Action', 'Urgency', 'Confidence'],
    found.map((entry) => [
      entry.function || '(defaults)',
      entry.currentReplicas,
      entry.recommendedReplicas,
      actionWord(entry.action),
      entry.urgency,
      entry.confidence.toFixed(2),
    ]),
  );
  print();
  const telling = found.filter(({ action }) => action !== 'hold');
  for (const { function: name, reason } of telling.length === 0 ? found.slice(0, 1) : telling)
    print(`${bold(escapeControls(name) || '(defaults)')}  ${escapeControls(reason)}`);
}

function actionWord(action: Recommendation['action']): string {
  switch (action) {
    case 'scale-up':
      return yellow(action);
    case 'scale-down':
      return green(action);
    case 'investigate':
      return red(action);
    case 'hold':
      return action;
  }
}
