/** The command line of a load test. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { conventional, positiveDuration, positiveWhole } from '../../runtime/cli/option-values.ts';
import { LOAD_PROFILES, type LoadProfile, PROFILE_KINDS } from './profiles.ts';
import { TARGETS, type TargetKind } from './targets.ts';
import { DEFAULT_FILTER } from './tasks.ts';

const VALUES = fileURLToPath(new URL('../../helm/values.yaml', import.meta.url));
const DEFAULT_STALL_MS = 5 * 60_000;

/** Times are milliseconds. */
export interface LoadOptions {
  profile: LoadProfile;
  messages?: number;
  duration?: number;
  rate?: number;
  filter?: string[];
  photos?: string[];
  seed: number;
  target?: TargetKind;
  values: string[];
  speed: number;
  maxWorkers: number;
  namespace?: string;
  context?: string;
  purge?: boolean;
  keep?: boolean;
  settle?: number;
  stall: number;
  maxWaitP95?: number;
  maxLatencyP95?: number;
  minThroughput?: number;
  lost: number;
  failed: number;
  out?: string;
  html?: string;
  json?: boolean;
}

/** @param action may read mistakes of its own out of the options */
export function loadCommand(action: (options: LoadOptions) => Promise<void>): Command {
  const command = new Command('npm run load --')
    .description(
      'Publishes tasks by a profile, watches queues and workers every second until all tasks have ended, and reports: charts, JSON, exit code by thresholds. What the simulator predicts for the same load is laid over what was measured.',
    )
    .addOption(new Option('--profile <name>', 'how the tasks come').choices(LOAD_PROFILES).default('burst'));
  addLoad(command);
  addPlace(command);
  addThresholds(command);
  addOutput(command);
  command.addHelpText('after', profilesHelp()).action(action).exitOverride();
  return conventional(
    command,
    'npm run load -- --profile burst --messages 2000 --max-wait-p95 3m',
    'npm run load -- --profile steady --duration 2m --rate 4 --filter blur:radius=3 --speed 10',
    'AMQP_URL=amqp://user:password@host STORAGE_URL=s3://bucket npm run load -- --profile spike --messages 5000',
    'AMQP_URL=… STORAGE_URL=… npm run load -- --target cluster --namespace darkroom --values helm/values-prod.yaml',
  );
}

function addLoad(command: Command): void {
  command
    .option('-n, --messages <n>', 'tasks in all', positiveWhole)
    .option('--duration <time>', 'over how long they come', positiveDuration)
    .option('--rate <n>', 'tasks a second, on average', positiveNumber)
    .option(
      '--filter <step...>',
      `what the tasks do, as ${DEFAULT_FILTER} or resize:width=800; several make several kinds of task (default: ${DEFAULT_FILTER}; mixed: chains of heavy steps)`,
    )
    .option('--photos <file...>', 'photos or folders to work on (default: test/fixtures/photos)')
    .option('--seed <n>', 'another seed, other arrivals; the same seed, the same load', positiveWhole, 1);
}

function addPlace(command: Command): void {
  command
    .addOption(
      new Option(
        '--target <where>',
        'local: a broker is found or started, and workers scale on this machine. broker: the workers at AMQP_URL. cluster: those of the chart, their number read by kubectl (default: broker when AMQP_URL is set, else local)',
      ).choices(TARGETS),
    )
    .option(
      '--values <file...>',
      "values files by which the workers scale, merged as Helm does (default: the chart's values.yaml)",
      [VALUES],
    )
    .option('--speed <factor>', 'local: scaling decides on a clock so many times faster', positiveNumber, 1)
    .option(
      '--max-workers <n>',
      'local: at most so many workers a filter',
      positiveWhole,
      availableParallelism(),
    )
    .option('--namespace <name>', 'cluster: where the chart is installed')
    .option('--context <name>', "cluster: which of the kubeconfig's contexts")
    .option('--purge', 'empty the filters’ queues first; else what lies there is counted apart')
    .option(
      '--settle <time>',
      'after the last task, record until the workers are at rest, at most so long (default: 1m with --speed, else not at all)',
      duration,
    )
    .option(
      '--stall <time>',
      'give up when no task has ended for so long',
      positiveDuration,
      DEFAULT_STALL_MS,
    )
    .option('--keep', 'leave photos and results in the storage (broker, cluster)');
}

function addThresholds(command: Command): void {
  command
    .option(
      '--max-wait-p95 <time>',
      'fail when the 95th percentile of the time in queue is longer',
      positiveDuration,
    )
    .option('--max-latency-p95 <time>', 'the same from submission to final event', positiveDuration)
    .option('--min-throughput <n>', 'fail below so many tasks a second', positiveNumber)
    .option('--lost <n>', 'fail when more tasks are lost', whole, 0)
    .option('--failed <n>', 'fail when more tasks fail', whole, 0);
}

function addOutput(command: Command): void {
  command
    .option('--out <dir>', 'where report.html and report.json go (default: darkroom-results/load-…)')
    .option('--html <file>', 'write the page here as well');
}

function profilesHelp(): string {
  const lines = LOAD_PROFILES.map((name) => {
    const { about, rate, durationMs } = PROFILE_KINDS[name];
    const usual = name === 'burst' ? `${rate} tasks` : `${rate}/s for ${durationMs / 1_000} s`;
    return `  ${name.padEnd(8)} ${about} (${usual} unless said otherwise)`;
  });
  return `
Profiles:
${lines.join('\n')}

Thresholds:
  Lost, failed and still queued tasks fail the run unless allowed. Exit codes: 0 kept, 1 not kept,
  2 a mistake in the call, 130 stopped by Ctrl-C. Ctrl-C ends publishing; what was sent is worked off and
  reported. A second Ctrl-C does not wait for it.`;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) throw new InvalidArgumentError('expected a number above 0.');
  return value;
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

function duration(text: string): number {
  return text === '0' ? 0 : positiveDuration(text);
}
