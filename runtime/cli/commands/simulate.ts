/** `darkroom simulate`: what a values file would do with a load, before anyone pays for it. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { settingsFromValues } from '../../../keda/model.ts';
import type { SimulatedScenario } from '../../../keda/report/findings.ts';
import { renderReport } from '../../../keda/report/render-report.ts';
import { simulationReport } from '../../../keda/report/simulation-report.ts';
import {
  type Load,
  type Outage,
  parseServiceTime,
  type SimulationOptions,
  simulate,
} from '../../../keda/simulator.ts';
import { type Suggestion, suggest } from '../../../keda/suggest.ts';
import { functionValues, isMap, loadValues, type Values } from '../../../keda/values.ts';
import { asError, UserError } from '../../errors.ts';
import { conventional, positiveDuration, positiveWhole, share } from '../option-values.ts';
import { ProgressBar } from '../progress-bar.ts';
import { loadFrom, outageOption, price } from '../simulate/load-option.ts';
import {
  printScenarios,
  printSuggestion,
  scenarioJson,
  suggestionJson,
} from '../simulate/print-scenarios.ts';
import { note, print, printJson } from '../terminal.ts';

const DEFAULT_VALUES = fileURLToPath(new URL('../../../helm/values.yaml', import.meta.url));
/** From this many messages on a run takes a while, so it is announced. */
const LARGE_LOAD = 200_000;
/** Seeds beside the given one under which suggested settings must hold. A large load averages by itself. */
const OTHER_DAYS = [1, 2, 3];
/** Of a photo's time on a local disk; by S3 with 40 ms a request it is 0.2. */
const CPU_SHARE = 0.7;

export interface SimulateOptions {
  values?: string[];
  compare?: string[];
  function?: string;
  load: string;
  messages?: number;
  duration?: number;
  serviceTime: string;
  cpuShare: number;
  targetWaitP95?: number;
  price?: number;
  podStart?: number;
  outage?: Outage[];
  hpaJitter?: number;
  html?: string;
  seed: number;
  json?: boolean;
}

export function simulateCommand(): Command {
  const command = new Command('simulate')
    .description(
      "Simulates one function's queue under a load with KEDA and the HPA in charge, as the values say: replicas, depth, waits, pod-hours and cost. Compares two values files, and suggests settings for a target wait.",
    )
    .option(
      '-f, --values <file...>',
      "values files, merged as Helm does, values.yaml beside them first (default: the chart's values.yaml)",
    )
    .option('--compare <file...>', 'a second set of values files, to compare with the first')
    .option('--function <name>', "whose settings apply (default: the values' defaults)")
    .option(
      '--load <profile|file>',
      'burst, ramp, steady, spike, daily, or a CSV or JSON file of counts per second',
      'burst',
    )
    .option('-n, --messages <n>', 'messages in all (default 1000; a file has its own count)', positiveWhole)
    .option(
      '--duration <time>',
      'over how long they arrive (default 1h; daily 1d; a file has its own)',
      positiveDuration,
    )
    .option(
      '--target-wait-p95 <time>',
      'suggest settings with which 95 % of messages begin within this time',
      positiveDuration,
    )
    .option('--price <amount>', 'what one pod costs an hour, in any currency', price)
    .option('--html <file>', 'write a page with charts')
    .option('--seed <n>', 'another seed, another run; the same seed, the same run', positiveWhole, 1)
    .action(run);
  return conventional(
    withCircumstances(command),
    'darkroom simulate -f helm/values-prod.yaml --function blur --load burst -n 5000 --service-time 800ms,p95=2s --html burst.html',
    'darkroom simulate -f helm/values-dev.yaml --compare helm/values-prod.yaml --load daily -n 1000000 --price 0.04',
    'darkroom simulate --load spike -n 20000 --target-wait-p95 30s',
  );
}

/** What the values do not say: tasks, pods and the broker. */
function withCircumstances(command: Command): Command {
  return command
    .option(
      '--service-time <time>',
      'how long one task takes that is alone in its worker, carried steps included: 800ms, or mean and tail as 800ms,p95=2s',
      '800ms',
    )
    .option(
      '--cpu-share <share>',
      "the part of that time that is the processor's; the rest waits, and slots make it overlap",
      share,
      CPU_SHARE,
    )
    .option(
      '--pod-start <time>',
      'from the decision to a pod that takes its first task (default 5s)',
      positiveDuration,
    )
    .option(
      '--outage <from+length>',
      'the metrics cannot be read: 10m+2m; broker:10m+2m takes the broker away; repeatable',
      outageOption,
    )
    .option(
      '--hpa-jitter <time>',
      'each HPA sync comes up to this much early or late: the pessimistic view (default: on time)',
      positiveDuration,
    );
}

function run(options: SimulateOptions): void {
  const load = loadFrom(options);
  if (load.arrivalsMs.length >= LARGE_LOAD)
    note(`Simulating ${load.arrivalsMs.length.toLocaleString('en')} messages…`);
  const first = scenario(options.values ?? [DEFAULT_VALUES], options, load);
  const scenarios =
    options.compare === undefined ? [first] : [first, scenario(options.compare, options, load)];
  const suggestion =
    options.targetWaitP95 === undefined ? undefined : search(first, options.targetWaitP95, options);
  if (options.html !== undefined) writePage(options.html, scenarios, suggestion, options);
  if (options.json === true) {
    printJson({
      load: {
        kind: options.load,
        messages: load.arrivalsMs.length,
        durationMs: load.durationMs,
        seed: options.seed,
      },
      scenarios: scenarios.map(scenarioJson),
      ...(suggestion !== undefined && { suggestion: suggestionJson(suggestion) }),
    });
    return;
  }
  printScenarios(scenarios);
  if (suggestion !== undefined) printSuggestion(suggestion, options.function);
  if (options.html !== undefined) print(`\nCharts: ${options.html}`);
}

/** One set of values, simulated. Drain time and deletion cost come from the values, too. */
function scenario(files: string[], options: SimulateOptions, load: Load): SimulatedScenario {
  const values = loadValues(files);
  const name = options.function ?? '';
  const own = functionValues(values, name);
  const drain = isMap(own.timeouts) ? own.timeouts.drain : undefined;
  const simulated: SimulationOptions = {
    settings: { ...settingsFromValues(values, name), hpaSyncJitterMs: options.hpaJitter ?? 0 },
    load,
    service: parseServiceTime(options.serviceTime),
    cpuShare: options.cpuShare,
    cpus: cpuLimitOf(own),
    seed: options.seed,
    outages: options.outage ?? [],
    ...(options.podStart !== undefined && { podStartMs: options.podStart }),
    pricePerPodHour: options.price,
    ...(typeof drain === 'number' && { drainMs: drain * 1_000 }),
    ...(typeof own.deletionCost === 'boolean' && { deletionCost: own.deletionCost }),
  };
  return {
    name: files.map((file) => path.basename(file)).join(' + '),
    options: simulated,
    ...simulate(simulated),
  };
}

/** Without a limit, tasks of one pod need not share a processor. */
function cpuLimitOf({ resources }: Values): number {
  const limits = isMap(resources) ? resources.limits : undefined;
  const text = isMap(limits) && limits.cpu !== undefined ? String(limits.cpu) : '';
  if (text === '') return Number.POSITIVE_INFINITY;
  return text.endsWith('m') ? Number(text.slice(0, -1)) / 1_000 : Number(text);
}

function search({ options }: SimulatedScenario, targetWaitP95Ms: number, call: SimulateOptions): Suggestion {
  let bar = new ProgressBar(1, 'settings tried');
  let total = 1;
  const onRun = (done: number, expected: number, about: string) => {
    if (expected !== total) bar = new ProgressBar(expected, 'settings tried');
    total = expected;
    bar.update(done, about);
  };
  const large = options.load.arrivalsMs.length >= LARGE_LOAD;
  const otherLoads = large ? [] : OTHER_DAYS.map((day) => loadFrom({ ...call, seed: call.seed + day }));
  const suggestion = suggest({ ...options, targetWaitP95Ms, otherLoads, onRun });
  bar.stop();
  return suggestion;
}

function writePage(
  file: string,
  scenarios: SimulatedScenario[],
  suggestion: Suggestion | undefined,
  options: SimulateOptions,
): void {
  const page = renderReport(
    simulationReport(scenarios, suggestion, { ...heading(options, scenarios), command: commandLine() }),
  );
  try {
    writeFileSync(file, page);
  } catch (error) {
    throw new UserError(`cannot write ${file}: ${asError(error).message}`, { cause: error });
  }
}

function heading(
  options: SimulateOptions,
  scenarios: SimulatedScenario[],
): { title: string; subtitle: string } {
  const { load, function: name, serviceTime, seed } = options;
  const messages = scenarios[0]?.options.load.arrivalsMs.length.toLocaleString('en') ?? '0';
  const what = path.basename(load);
  const sets = scenarios.map((scenario) => scenario.name).join(' against ');
  return {
    title: `${what.charAt(0).toUpperCase()}${what.slice(1)}: ${messages} messages, simulated`,
    subtitle: `${name ?? 'default settings'} · ${sets} · ${serviceTime} a task · seed ${seed}`,
  };
}

function commandLine(): string {
  return `darkroom ${process.argv
    .slice(2)
    .map((word) => (/[\s"']/.test(word) ? JSON.stringify(word) : word))
    .join(' ')}`;
}
