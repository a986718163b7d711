/** Hours in small: steady load, while the memory and the open files of a parent and its child are watched. */
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openHandles, residentBytes } from '../support/crew.ts';
import { type Line, plot } from '../support/plot.ts';
import { startPump } from '../support/pump.ts';
import type { Outcome, Scenario, Stage } from '../support/scenario.ts';
import { openShop } from '../support/shop.ts';
import { slopePerHour } from '../support/slope.ts';

const OPEN_TASKS = 40;
const LOOK_MS = 1_000;
const MEBIBYTE = 1_048_576;
/** Caches fill and code is compiled in this share of the time; it is left out of the slope. */
const WARM_UP_SHARE = 0.25;
/** Bounds on what the straight line through the samples gains between warm-up and end. */
const GAIN_LIMITS = { parentMebibytes: 15, childMebibytes: 25, handles: 3 };
const SVG = fileURLToPath(new URL('../soak.svg', import.meta.url));

interface Sample {
  seconds: number;
  parentBytes: number;
  childBytes: number;
  parentHandles: number;
  childHandles: number;
}

export const soak: Scenario = {
  name: 'soak',
  shows: 'steady load for a while: memory and open files stay flat',
  run,
};

async function run({ choose, node, random, profile, say }: Stage): Promise<Outcome> {
  const seconds = choose(20, 1_200);
  // A child that is replaced would hide what it leaks.
  const env = { CHILD_MAX_TASKS: '1000000000', LOG_LEVEL: 'info' };
  await using shop = await openShop({ amqpUrl: node.amqpUrl, env }, random);
  const { plant, crew, kinds } = shop;
  const pump = startPump(plant, kinds, random, OPEN_TASKS);
  const samples: Sample[] = [];
  const beganMs = performance.now();
  for (let second = 0; second < seconds; second++) {
    await sleep(LOOK_MS);
    samples.push({ seconds: (performance.now() - beganMs) / 1_000, ...(await look(crew.members[0]!)) });
    if (second % 60 === 59)
      say(`${second + 1}/${seconds} s, ${plant.ledger.submitted - plant.ledger.open} tasks ended`);
  }
  await pump.stop();
  const outcome = await plant.finish(crew);
  const rate = outcome.results / seconds;
  outcome.notes.push(
    `${seconds} s at ${(rate * 3).toFixed(0)} steps a second, ${outcome.results} tasks of three steps`,
  );
  judge(samples, profile === 'full', outcome);
  if (profile === 'full')
    await writeFile(
      SVG,
      plot(
        `Soak: ${outcome.results} tasks in ${Math.round(seconds / 60)} minutes, RabbitMQ ${node.version}`,
        linesOf(samples),
      ),
    );
  return outcome;
}

async function look(member: {
  pid: number;
  childPids(): Promise<number[]>;
}): Promise<Omit<Sample, 'seconds'>> {
  const [child = 0] = await member.childPids();
  const [parentBytes, childBytes, parentHandles, childHandles] = await Promise.all([
    residentBytes(member.pid),
    residentBytes(child),
    openHandles(member.pid),
    openHandles(child),
  ]);
  return {
    parentBytes: parentBytes ?? 0,
    childBytes: childBytes ?? 0,
    parentHandles: parentHandles ?? 0,
    childHandles: childHandles ?? 0,
  };
}

/** A short run says little of slopes: its figures are told, and only the full run's are judged. */
function judge(samples: Sample[], strictly: boolean, outcome: Outcome): void {
  const warm = samples.filter(({ seconds }) => seconds >= WARM_UP_SHARE * samples.at(-1)!.seconds);
  const hours = (warm.at(-1)!.seconds - warm[0]!.seconds) / 3_600;
  const gain = (value: (sample: Sample) => number) =>
    slopePerHour(warm.map((sample) => [sample.seconds, value(sample)])) * hours;
  const gains: [what: string, gained: number, limit: number][] = [
    ['parent’s memory, MiB', gain(({ parentBytes }) => parentBytes / MEBIBYTE), GAIN_LIMITS.parentMebibytes],
    ['child’s memory, MiB', gain(({ childBytes }) => childBytes / MEBIBYTE), GAIN_LIMITS.childMebibytes],
    ['parent’s handles', gain(({ parentHandles }) => parentHandles), GAIN_LIMITS.handles],
    ['child’s handles', gain(({ childHandles }) => childHandles), GAIN_LIMITS.handles],
  ];
  for (const [what, gained, limit] of gains) {
    outcome.notes.push(
      `${what}: ${gained >= 0 ? '+' : ''}${gained.toFixed(1)} from warm-up to the end, by least squares (${(gained / hours).toFixed(1)} an hour; bound ${limit})`,
    );
    if (strictly && gained > limit)
      outcome.faults.push(`${what}: gained ${gained.toFixed(1)}; expected at most ${limit}`);
  }
}

function linesOf(samples: Sample[]): Line[] {
  const line = (name: string, unit: string, value: (sample: Sample) => number): Line => ({
    name,
    unit,
    points: samples.map((sample) => [sample.seconds / 60, value(sample)]),
  });
  return [
    line('Memory of the parent', 'MiB', ({ parentBytes }) => parentBytes / MEBIBYTE),
    line('Memory of the child', 'MiB', ({ childBytes }) => childBytes / MEBIBYTE),
    line('Open files of the parent', '', ({ parentHandles }) => parentHandles),
    line('Open files of the child', '', ({ childHandles }) => childHandles),
  ];
}
