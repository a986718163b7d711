/** `npm run demo`: all of Darkroom on this machine, from nothing to results and back to nothing. */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { settingsFromValues } from '../../../keda/model.ts';
import { loadValues } from '../../../keda/values.ts';
import { readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import { humanDuration } from '../../units.ts';
import { type FoundBroker, findBroker } from '../broker.ts';
import { printDemoReport, stepsDone } from '../demo-report.ts';
import type { TaskOutcome } from '../end-watch.ts';
import { EXIT } from '../exit-codes.ts';
import { LocalScaling } from '../local-scaling.ts';
import { conventional, positiveNumber, wholeNumber } from '../option-values.ts';
import { findPhotos } from '../photos.ts';
import { renderScaling, scalingSummary } from '../scaling-view.ts';
import { deleteAll, withBroker } from '../session.ts';
import { stopRequested } from '../signals.ts';
import { parseStep } from '../step-syntax.ts';
import { TaskClient } from '../task-client.ts';
import { dim, LiveView, note, print, printJson } from '../terminal.ts';

const PHOTOS = fileURLToPath(new URL('../../../test/fixtures/photos', import.meta.url));
const VALUES = fileURLToPath(new URL('../../../helm/values.yaml', import.meta.url));
const VIEW_MS = 250;
const TO_ZERO_TIMEOUT_MS = 60_000;
const MAX_WORKERS_PER_FILTER = 3;
/** How often each photo is published, so that there is something to scale for. */
const DEFAULT_ROUNDS = 4;
const CHANGES_SHOWN = 4;

/** What is done to the photos, in turn. */
const RECIPES: { steps: string[]; format: string }[] = [
  { steps: ['resize:width=800,height=600', 'sharpen:factor=1.5'], format: 'webp' },
  { steps: ['resize:width=1200,fit=inside', 'blur:radius=6', 'brightness:factor=1.2'], format: 'jpeg' },
  { steps: ['grayscale', 'contrast:factor=1.3', 'resize:width=500'], format: 'jpeg' },
  { steps: ['resize:width=900', 'edges:method=canny'], format: 'png' },
];

const NO_PHOTOS =
  'The demo needs the photos and the starters of a broker that are in Darkroom’s repository, and not in this image. Run it from a checkout: npm run demo.';

interface DemoOptions {
  rounds: number;
  speed: string;
  json?: boolean;
}

interface DemoResult {
  outcomes: TaskOutcome[];
  peakWorkers: number;
  isBackAtZero: boolean;
}

export function demoCommand(): Command {
  const command = new Command('demo')
    .description(
      'Finds or starts RabbitMQ, publishes multi-step tasks over real photos, scales workers from zero to as many as needed and back, and shows what came out. Leaves nothing running.',
    )
    .option('--rounds <n>', 'how often each photo is published', wholeNumber(1), DEFAULT_ROUNDS)
    .option('--speed <factor>', 'how much faster than on a cluster scaling decides', '20')
    .action(demo);
  return conventional(command, 'npm run demo', 'npx darkroom demo --rounds 20');
}

async function demo(options: DemoOptions): Promise<void> {
  const started = performance.now();
  const speed = positiveNumber('--speed', options.speed);
  if (!existsSync(PHOTOS)) throw new UserError(NO_PHOTOS);
  await using broker = await findBroker({ onProgress: note, allowInstall: true });
  // Until here a signal ends the process at once, and what was started goes with it.
  const interrupted = stopRequested().then(() => true as const);
  await using kept = await openFolder();
  const storage = join(kept.folder, 'storage');
  await mkdir(storage);
  const env = {
    ...process.env,
    ...broker.env,
    STORAGE_URL: pathToFileURL(storage).href,
    DARKROOM_PREFIX: `demo-${process.pid}`,
  };
  await using _borrowed = await borrowBroker(broker, env);
  const result = await runDemo(env, { ...options, speed }, interrupted, kept);
  if (result === undefined) {
    process.exitCode = EXIT.interrupted;
    return;
  }
  const { outcomes, isBackAtZero, peakWorkers } = result;
  if (outcomes.some(({ outcome }) => outcome !== 'completed') || !isBackAtZero)
    process.exitCode = EXIT.failed;
  const ms = performance.now() - started;
  if (options.json === true)
    return printJson({
      broker: broker.version ?? null,
      seconds: ms / 1_000,
      peak_workers: peakWorkers,
      back_to_zero: isBackAtZero,
      storage: env.STORAGE_URL,
      tasks: outcomes,
    });
  printDemoReport(outcomes, storage);
  const steps = outcomes.reduce((sum, outcome) => sum + stepsDone(outcome).length, 0);
  print(
    `\n${outcomes.length} tasks, ${steps} steps; workers 0 → ${peakWorkers} → ${isBackAtZero ? 0 : 'still running'}; ${humanDuration(ms)} in all, RabbitMQ ${broker.version ?? '(yours)'}.`,
  );
  print(`Results: ${join(storage, 'out')}`);
}

/** From zero workers to all results and back to zero; undefined when it was interrupted before the results. */
async function runDemo(
  env: NodeJS.ProcessEnv,
  { rounds, speed }: { rounds: number; speed: number },
  interrupted: Promise<true>,
  kept: { keep(): void },
): Promise<DemoResult | undefined> {
  const changes: string[] = [];
  const scaling = await LocalScaling.start({
    functions: functionsOf(RECIPES),
    env,
    speed,
    log: (text) => changes.push(text),
  });
  const view = showScaling(scaling, changes);
  try {
    const outcomes = await Promise.race([work(env, rounds), interrupted.then(() => undefined)]);
    if (outcomes === undefined) {
      view.stop('Interrupted: draining …');
      return undefined;
    }
    kept.keep();
    const isBackAtZero = await untilZero(scaling, interrupted);
    view.stop();
    return { outcomes, peakWorkers: view.peak(), isBackAtZero };
  } finally {
    await scaling.stop();
  }
}

/** Each filter of the recipes with the chart's settings, with a limit on workers that a laptop can run. */
function functionsOf(recipes: typeof RECIPES) {
  const filters = new Set(recipes.flatMap(({ steps }) => steps.map((step) => parseStep(step).filter)));
  const values = loadValues([VALUES]);
  return [...filters].map((filter) => ({
    filter,
    settings: { ...settingsFromValues(values, filter), minReplicas: 0, maxReplicas: MAX_WORKERS_PER_FILTER },
  }));
}

const REMOVER = fileURLToPath(new URL('../local-broker/remove-queues.ts', import.meta.url));
/** The workers go first. */
const REMOVE_QUEUES = 'sleep 1; AMQP_URL="$told" DARKROOM_PREFIX="$3" exec "$1" "$2"';
/** In case this process dies: its workers may write for a moment more. */
const REMOVE_FOLDER = 'rm -rf -- "$1"; sleep 1; rm -rf -- "$1"';

/** A temporary folder that is removed unless it is kept for its results. */
async function openFolder() {
  const { reapedFolder } = await import('../local-broker/reaper.ts');
  const { folder, reaper } = await reapedFolder('darkroom-demo-', REMOVE_FOLDER);
  let isKept = false;
  return {
    folder,
    keep() {
      isKept = true;
      reaper.dismiss();
    },
    async [Symbol.asyncDispose]() {
      if (!isKept) await rm(folder, { recursive: true, force: true });
      reaper.dismiss();
    },
  };
}

/** Publishes every photo with its recipe and waits for all results. */
async function work(env: NodeJS.ProcessEnv, rounds: number): Promise<TaskOutcome[]> {
  const config = readConfig(env);
  const storage = await openStorage(config.storage.url);
  const photos = await findPhotos([PHOTOS]);
  return await withBroker(config, async (broker) => {
    const client = await TaskClient.open(broker, storage, config);
    const waits: Promise<TaskOutcome>[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const [index, photo] of photos.entries()) {
        const { steps, format } = RECIPES[(index + round) % RECIPES.length]!;
        const submitted = await client.submit(photo, { steps: steps.map(parseStep), output: { format } });
        waits.push(client.outcome(submitted));
      }
    }
    return await Promise.all(waits);
  });
}

/** The live view; where there is no terminal, the changes and a line of sums every two seconds. */
function showScaling(scaling: LocalScaling, changes: string[]) {
  const view = new LiveView(process.stderr);
  let peak = 0;
  const draw = () => {
    const views = scaling.view();
    peak = Math.max(
      peak,
      views.reduce((sum, { running }) => sum + running, 0),
    );
    view.show([renderScaling(views), '', ...changes.slice(-CHANGES_SHOWN).map(dim)].join('\n'));
    view.tell(() => [...changes.splice(0), scalingSummary(views)].join('\n'));
  };
  const timer = setInterval(draw, VIEW_MS);
  return {
    peak: () => peak,
    stop(text?: string) {
      clearInterval(timer);
      draw();
      view.end();
      if (text !== undefined) note(text);
    },
  };
}

async function untilZero(scaling: LocalScaling, interrupted: Promise<true>): Promise<boolean> {
  const deadline = performance.now() + TO_ZERO_TIMEOUT_MS;
  let isInterrupted = false;
  void interrupted.then(() => {
    isInterrupted = true;
  });
  while (performance.now() < deadline && !isInterrupted) {
    if (scaling.view().every(({ running, draining }) => running + draining === 0)) return true;
    await new Promise((resolve) => setTimeout(resolve, VIEW_MS));
  }
  return false;
}

/** A broker that was running already is left as it was found, also when this process is killed. */
async function borrowBroker({ way, amqpUrl }: FoundBroker, env: NodeJS.ProcessEnv): Promise<AsyncDisposable> {
  if (way !== 'amqp-url') return { async [Symbol.asyncDispose]() {} };
  const config = readConfig(env);
  const { startReaper } = await import('../local-broker/reaper.ts');
  const reaper = startReaper(REMOVE_QUEUES, process.execPath, REMOVER, config.prefix);
  reaper.tell(amqpUrl);
  return {
    async [Symbol.asyncDispose]() {
      await withBroker(config, (broker) => deleteAll(broker, config)).catch(() => {});
      reaper.dismiss();
    },
  };
}
