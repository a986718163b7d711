/** `npm run demo`: the whole of Darkroom on this machine, from nothing to results and back to nothing. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { createLogUpdate } from 'log-update';
import type { Autoscaler } from '../../../keda/autoscaler.ts';
import { settingsFromValues } from '../../../keda/model.ts';
import { loadValues } from '../../../keda/values.ts';
import { readConfig } from '../../config.ts';
import { UserError } from '../../errors.ts';
import { openStorage } from '../../storage/open.ts';
import type { Step, StepRecord } from '../../task/task.ts';
import { humanDuration, humanSize } from '../../units.ts';
import { findBroker } from '../broker.ts';
import { findPhotos } from '../photos.ts';
import { withBroker } from '../session.ts';
import { wholeNumber } from '../step-options.ts';
import { parseStep } from '../step-syntax.ts';
import { createPublisher, type Outcome } from '../task-client.ts';
import { conventional, dim, note, print, printJson, printTable } from '../terminal.ts';
import { resultOf } from './publish.ts';
import { renderView, startScaling, stopRequested } from './up.ts';

const PHOTOS = fileURLToPath(new URL('../../../test/fixtures/photos', import.meta.url));
const VALUES = fileURLToPath(new URL('../../../helm/values.yaml', import.meta.url));
/** As a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const VIEW_MS = 250;
const PLAIN_VIEW_MS = 2_000;
const TO_ZERO_TIMEOUT_MS = 60_000;
const MAX_WORKERS_PER_FILTER = 3;
/** So many copies of each recipe and photo, so that there is something to scale for. */
const DEFAULT_ROUNDS = 4;

/** What is done to the photos, in turn. */
const RECIPES: { steps: string[]; format: string }[] = [
  { steps: ['resize:width=800,height=600', 'sharpen:factor=1.5'], format: 'webp' },
  { steps: ['resize:width=1200,fit=inside', 'blur:radius=6', 'brightness:factor=1.2'], format: 'jpeg' },
  { steps: ['grayscale', 'contrast:factor=1.3', 'resize:width=500'], format: 'jpeg' },
  { steps: ['resize:width=900', 'edges:method=canny'], format: 'png' },
];

interface DemoOptions {
  rounds: number;
  speed: string;
  json?: boolean;
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
  const speed = Number(options.speed);
  if (!(speed > 0)) throw new UserError(`--speed: expected a number above 0, got "${options.speed}".`);
  await using broker = await findBroker({ onProgress: note, allowInstall: true });
  // Until here a signal ends the process at once, and what was started goes with it.
  const interrupted = stopRequested().then(() => true);
  await using kept = await openFolder();
  const { folder } = kept;
  const storageUrl = pathToFileURL(join(folder, 'storage')).href;
  await mkdir(join(folder, 'storage'));
  const env = {
    ...process.env,
    AMQP_URL: broker.amqpUrl,
    STORAGE_URL: storageUrl,
    DARKROOM_PREFIX: `demo-${process.pid}`,
    ...(broker.managementUrl !== undefined && { AMQP_MANAGEMENT_URL: broker.managementUrl }),
  };
  const filters = [...new Set(RECIPES.flatMap(({ steps }) => steps.map((step) => parseStep(step).filter)))];
  const values = loadValues([VALUES]);
  const functions = filters.map((filter) => ({
    filter,
    settings: { ...settingsFromValues(values, filter), minReplicas: 0, maxReplicas: MAX_WORKERS_PER_FILTER },
  }));
  const changes: string[] = [];
  await using _topology = { [Symbol.asyncDispose]: () => removeTopology(env) };
  const autoscaler = await startScaling(env, functions, speed, (text) => changes.push(text));
  const view = showScaling(autoscaler, changes);
  try {
    const outcomes = await Promise.race([work(env, options.rounds), interrupted.then(() => undefined)]);
    if (outcomes === undefined) {
      process.exitCode = INTERRUPTED;
      return view.stop('interrupted: draining …');
    }
    kept.keep();
    const backToZero = await untilZero(autoscaler, interrupted);
    view.stop();
    const peak = view.peak();
    if (outcomes.some(({ outcome }) => outcome !== 'completed') || !backToZero) process.exitCode = 1;
    if (options.json === true)
      return printJson({
        broker: broker.version ?? null,
        seconds: (performance.now() - started) / 1_000,
        peak_workers: peak,
        back_to_zero: backToZero,
        storage: storageUrl,
        tasks: outcomes,
      });
    report(outcomes, join(folder, 'storage'));
    print(
      `\n${outcomes.length} tasks, ${outcomes.reduce((sum, { data }) => sum + stepsOf(data).length, 0)} steps; workers 0 → ${peak} → ${backToZero ? 0 : 'still running'}; ${humanDuration(performance.now() - started)} in all, RabbitMQ ${broker.version ?? '(yours)'}.`,
    );
    print(`Results: ${join(folder, 'storage', 'out')}`);
  } finally {
    await autoscaler.stop();
  }
}

/** A temporary folder that is removed unless it is kept for its results. */
async function openFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-demo-'));
  let isKept = false;
  return {
    folder,
    keep() {
      isKept = true;
    },
    async [Symbol.asyncDispose]() {
      if (!isKept) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Publishes every photo with its recipe and waits for all results. */
async function work(env: NodeJS.ProcessEnv, rounds: number): Promise<Outcome[]> {
  const config = readConfig(env);
  const storage = await openStorage(config.storage.url);
  const photos = await findPhotos([PHOTOS]);
  return await withBroker(config, async (connection) => {
    const publisher = await createPublisher(connection, storage, config);
    const waits: Promise<Outcome>[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const [index, photo] of photos.entries()) {
        const recipe = RECIPES[(index + round) % RECIPES.length]!;
        const steps: Step[] = recipe.steps.map(parseStep);
        waits.push(
          publisher.outcome(await publisher.submit(photo, { steps, output: { format: recipe.format } })),
        );
      }
    }
    return await Promise.all(waits);
  });
}

/** The live view; where there is no terminal, a line every two seconds. */
function showScaling(autoscaler: Autoscaler, changes: string[]) {
  const live = process.stderr.isTTY === true;
  const update = createLogUpdate(process.stderr);
  let peak = 0;
  const draw = () => {
    const views = autoscaler.view();
    peak = Math.max(
      peak,
      views.reduce((sum, { running }) => sum + running, 0),
    );
    if (live) update([renderView(views), '', ...changes.slice(-4).map(dim)].join('\n'));
  };
  const plain = () => {
    for (const change of changes.splice(0)) note(change);
    const views = autoscaler.view();
    note(
      `workers ${views.reduce((sum, { running }) => sum + running, 0)}, waiting ${views.reduce((sum, { ready }) => sum + ready, 0)}, in work ${views.reduce((sum, { unacked }) => sum + unacked, 0)}`,
    );
  };
  const timers = [setInterval(draw, VIEW_MS), ...(live ? [] : [setInterval(plain, PLAIN_VIEW_MS)])];
  return {
    peak: () => peak,
    stop(text?: string) {
      timers.forEach(clearInterval);
      draw();
      if (live) update.done();
      if (text !== undefined) note(text);
    },
  };
}

async function untilZero(autoscaler: Autoscaler, interrupted: Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + TO_ZERO_TIMEOUT_MS;
  let stop = false;
  void interrupted.then(() => {
    stop = true;
  });
  while (performance.now() < deadline && !stop) {
    if (autoscaler.view().every(({ running, draining }) => running + draining === 0)) return true;
    await new Promise((resolve) => setTimeout(resolve, VIEW_MS));
  }
  return false;
}

function report(outcomes: Outcome[], storage: string): void {
  printTable(
    ['Task', 'Photo', 'Steps', 'In queue', 'Working', 'Before', 'After', 'Result'],
    outcomes.map(({ id, photo, bytes, outcome, data }) => {
      const steps = stepsOf(data);
      const result = resultOf(data);
      return [
        id.slice(-8),
        basename(photo),
        steps.map(({ filter }) => filter).join(' → '),
        humanDuration(steps.reduce((sum, { queue_ms }) => sum + (queue_ms ?? 0), 0)),
        humanDuration(steps.reduce((sum, { work_ms }) => sum + work_ms, 0)),
        bytes === null ? '' : humanSize(bytes),
        result === undefined ? '' : humanSize(result.bytes),
        outcome === 'completed'
          ? `${result?.key.replace(/^out\/.*(.{12})$/, 'out/…$1')}`
          : `${outcome}: ${data.failure_reason}`,
      ];
    }),
  );
  print(dim(`in ${storage}`));
}

function stepsOf(data: Record<string, unknown>): StepRecord[] {
  return Array.isArray(data.steps) ? (data.steps as StepRecord[]) : [];
}

/** A broker that was running already is left as it was found. */
async function removeTopology(env: NodeJS.ProcessEnv): Promise<void> {
  const { deleteTopology } = await import('../../amqp/topology.ts');
  const { topologyOf } = await import('../session.ts');
  const config = readConfig(env);
  await withBroker(config, (broker) =>
    broker.withChannel((channel) => deleteTopology(channel, topologyOf(config))),
  ).catch(() => {});
}
