/** Hours in small: steady load, while the memory and the open files of a parent and its child are watched. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openHandles, residentBytes } from '../../support/process-facts.ts';
import type { WorkerProcess } from '../../support/worker-process.ts';
import { liveBytes } from '../support/live-memory.ts';
import { startPump } from '../support/pump.ts';
import type { Scenario, ScenarioOutcome, Stage } from '../support/scenario.ts';
import { setUpScenario } from '../support/scenario-setup.ts';
import { slopePerHour } from '../support/slope.ts';
import { SOAK_SERIES, type SoakPoint, type SoakSamples, writeSoakPage } from '../support/soak-page.ts';

const OPEN_TASKS = 40;
const LOOK_MS = 1_000;
const MEBIBYTE = 1_048_576;
/** Caches fill and code is compiled in this share of the time; it is left out of the judgement. */
const WARM_UP_SHARE = 0.25;
/** How often, after the warm-up, both processes collect their garbage and say what is left. */
const LIVE_LOOKS = 6;
/** What the straight line through the samples may gain from warm-up to end. */
const LIVE_GAIN_LIMIT_MIB = 3;
const HANDLES_GAIN_LIMIT = 3;
/** The resident memory rises until V8 finds a collection worth while; it may not rise higher each time. */
const PEAK_GAIN_LIMIT = 1.15;

export const soak: Scenario = {
  name: 'soak',
  shows: 'steady load for a while: memory and open files stay flat',
  run,
};

async function run(stage: Stage): Promise<ScenarioOutcome> {
  const { choose, node, random, profile, say } = stage;
  const seconds = choose(20, 1_200);
  // A child that is replaced would hide what it leaks.
  const env = { CHILD_MAX_TASKS: '1000000000' };
  await using setup = await setUpScenario({ amqpUrl: node.amqpUrl, env }, random);
  const { installation, workers, kinds } = setup;
  const pump = startPump(installation, kinds, random, OPEN_TASKS);
  const samples = await watch(workers.current[0]!, seconds, (at) =>
    say(`${at}/${seconds} s, ${installation.ledger.submitted - installation.ledger.open} tasks ended`),
  );
  await pump.stop();
  const outcome = await installation.finish(workers);
  const rate = (3 * outcome.results) / seconds;
  outcome.notes.push(
    `${seconds} s at ${rate.toFixed(0)} steps a second, ${outcome.results} tasks of three steps`,
  );
  judge(samples, profile === 'full', outcome);
  outcome.notes.push(`charts: ${await writeSoakPage(samples, outcome, stage)}`);
  return outcome;
}

async function watch(
  worker: WorkerProcess,
  seconds: number,
  tell: (second: number) => void,
): Promise<SoakSamples> {
  const samples = Object.fromEntries(
    Object.keys(SOAK_SERIES).map((name) => [name, []]),
  ) as unknown as SoakSamples;
  const beganMs = performance.now();
  const now = () => (performance.now() - beganMs) / 1_000;
  let nextLive = seconds * WARM_UP_SHARE;
  while (now() < seconds) {
    await sleep(LOOK_MS);
    const [child = 0] = await worker.childPids();
    const at = now();
    samples.parentMemory.push([at, ((await residentBytes(worker.pid)) ?? 0) / MEBIBYTE]);
    samples.childMemory.push([at, ((await residentBytes(child)) ?? 0) / MEBIBYTE]);
    samples.parentHandles.push([at, (await openHandles(worker.pid)) ?? 0]);
    samples.childHandles.push([at, (await openHandles(child)) ?? 0]);
    if (samples.parentMemory.length % 60 === 0) tell(Math.round(at));
    if (at < nextLive) continue;
    nextLive += (seconds * (1 - WARM_UP_SHARE)) / LIVE_LOOKS;
    samples.parentLive.push([at, (await liveBytes(worker.pid)) / MEBIBYTE]);
    samples.childLive.push([at, (await liveBytes(child)) / MEBIBYTE]);
  }
  return samples;
}

/** Of what a collection leaves alive a short run says enough; of the resident memory's peaks only a long one does. */
function judge(samples: SoakSamples, isLong: boolean, outcome: ScenarioOutcome): void {
  for (const [key, name] of Object.entries(SOAK_SERIES) as [keyof SoakSamples, string][]) {
    const end = samples[key].at(-1)![0];
    const warm = samples[key].filter(([seconds]) => seconds >= WARM_UP_SHARE * end);
    const hours = (end - warm[0]![0]) / 3_600;
    const slope = slopePerHour(warm);
    const signed = (value: number) => `${value >= 0 ? '+' : ''}${value.toFixed(1)}`;
    const highest = Math.max(...samples[key].map(([, value]) => value));
    outcome.notes.push(
      `${name}: at most ${highest.toFixed(0)}; ${signed(slope * hours)} after the warm-up by least squares (${signed(slope)} an hour)`,
    );
    if (key.endsWith('Memory')) {
      if (isLong) judgePeaks(name, warm, outcome);
    } else if (slope * hours > (key.endsWith('Live') ? LIVE_GAIN_LIMIT_MIB : HANDLES_GAIN_LIMIT))
      outcome.faults.push(`${name}: gained ${signed(slope * hours)}`);
  }
}

function judgePeaks(name: string, warm: SoakPoint[], outcome: ScenarioOutcome): void {
  const half = Math.floor(warm.length / 2);
  const peak = (points: SoakPoint[]) => Math.max(...points.map(([, value]) => value));
  const [first, second] = [peak(warm.slice(0, half)), peak(warm.slice(half))];
  outcome.notes.push(
    `${name}: highest ${first.toFixed(0)} in the first half after the warm-up, ${second.toFixed(0)} in the second`,
  );
  if (second > first * PEAK_GAIN_LIMIT)
    outcome.faults.push(`${name}: rose from ${first.toFixed(0)} to ${second.toFixed(0)}`);
}
