/** What a task costs as the work grows: more steps, larger images, a longer queue. */
import sharp from 'sharp';
import { largePhoto } from '../support/large-photo.ts';
import { pipelineOver } from '../support/pictures.ts';
import { ConsumerProcess } from './consumer-process.ts';
import { Costs } from './costs.ts';
import { Darkroom } from './darkroom.ts';
import { type Bench, type BenchmarkRow, slopeOf } from './row.ts';
import { takeTurns } from './turns.ts';

const STEP = { filter: 'brightness', params: { factor: 1.1 } };
const STEPS = [1, 2, 4, 8];
const MEGAPIXELS = [0.1, 1, 12, 50];
const WAITING = [10, 1_000, 100_000];
/** Of the photo whose steps are counted. */
const STEPS_MEGAPIXELS = 1;
const TASKS = 20;
/** What is small takes more of them until its CPU time can be told. */
const SMALL_TASKS = 200;
const NOOPS = 1_000;
const CARRIES = { carried: 'all', hopped: 'none' };
/** For 50 megapixels. */
const ROOMY = {
  CHILD_MAX_MEMORY: '4GiB',
  LIMIT_INPUT_BYTES: '100MiB',
  LIMIT_PIXELS: '60000000',
  LIMIT_OUTPUT_PIXELS: '60000000',
};

export async function benchGrowth(bench: Bench): Promise<BenchmarkRow[]> {
  const carried = await byCost(bench, CARRIES.carried);
  const hopped = await byCost(bench, CARRIES.hopped);
  return [
    ...growth('carried', STEPS, 'steps', carried.steps),
    ...growth('hopped', STEPS, 'steps', hopped.steps),
    ...growth('one step', MEGAPIXELS, 'megapixels', carried.megapixels),
    ...growth('no-op tasks', WAITING, 'waiting', await byWaiting(bench)),
  ];
}

/** Milliseconds of CPU a task for each number of steps, and for each size of image. */
async function byCost(bench: Bench, CARRY: string) {
  const steps: number[] = [];
  for (const count of STEPS) steps.push(await cpuMsOf(bench, CARRY, STEPS_MEGAPIXELS, count));
  const megapixels: number[] = [];
  for (const size of CARRY === CARRIES.carried ? MEGAPIXELS : [])
    megapixels.push(await cpuMsOf(bench, CARRY, size, 1));
  return { steps, megapixels };
}

async function cpuMsOf(bench: Bench, CARRY: string, megapixels: number, steps: number): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const darkroom = await Darkroom.start({
    amqpUrl: bench.amqpUrl,
    env: { CARRY, ...ROOMY },
    filters: [STEP.filter],
    layout: { workers: 1, slots: 1 },
    photo: await photoOf(megapixels),
    steps: Array.from({ length: steps }, () => STEP),
  });
  const contestant = stack.use(new Costs(darkroom));
  const count = bench.count(megapixels > 1 ? TASKS : SMALL_TASKS);
  return (await takeTurns({ ours: { contestant, count } }, bench.rounds)).ours;
}

/** Milliseconds a task, on the clock, while so many wait behind it. */
async function byWaiting(bench: Bench): Promise<number[]> {
  const times: number[] = [];
  for (const waiting of WAITING) {
    await using contestant = await ConsumerProcess.open({
      amqpUrl: bench.amqpUrl,
      kind: 'idle-worker',
      waiting,
    });
    const turns = { ours: { contestant, count: bench.count(NOOPS) } };
    times.push(1_000 / (await takeTurns(turns, bench.rounds)).ours);
  }
  return times;
}

async function photoOf(megapixels: number): Promise<Buffer> {
  const photo = await largePhoto();
  const scale = Math.sqrt((megapixels * 1e6) / (photo.width * photo.height));
  const [width, height] = [Math.round(photo.width * scale), Math.round(photo.height * scale)];
  const { data, info } = await pipelineOver(photo)
    .resize(width, height, { fit: 'fill' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return await sharp(data, { raw: { width, height, channels: info.channels } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

/** A row for each point, and one for the slope. */
function growth(what: string, at: number[], of: string, costs: number[]): BenchmarkRow[] {
  const unit = of === 'waiting' ? 'ms a task' : 'ms CPU a task';
  const points = at.map((x, index) => ({
    name: `${what}, ${x.toLocaleString('en')} ${of}`,
    unit,
    ours: costs[index]!,
  }));
  const slope = {
    name: `${what}, slope by ${of}`,
    unit: '(log-log)',
    ours: slopeOf(at, costs),
    note: '0: costs the same however much; 1: twice as much costs twice as much',
  };
  return [...points, slope];
}
