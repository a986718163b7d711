/** What a task costs whose steps are carried, or hop from queue to queue: CPU time and requests to the storage. */
import type { Step } from '../../runtime/task/task.ts';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { Costs } from './costs.ts';
import { Darkroom } from './darkroom.ts';
import { startInProcess } from './peers/in-process.ts';
import { type RequestCounts, type SlowS3, startSlowS3 } from './peers/slow-s3.ts';
import { atMost, type Bench, type BenchmarkRow, compared } from './row.ts';
import { photoFolder, RESIZE } from './throughput.ts';
import { takeTurns } from './turns.ts';

const TASKS = 25;
const COST_GOAL = 1.2;
const REQUESTS_GOAL = 3;

const BRIGHTNESS: Step = { filter: 'brightness', params: { factor: 1.3 } };
const SHARPEN: Step = { filter: 'sharpen', params: { factor: 1.5 } };
const TASKS_BY_NAME: Record<string, Step[]> = {
  resize: [RESIZE],
  'brightness → sharpen → resize': [BRIGHTNESS, SHARPEN, RESIZE],
  'resize → brightness → sharpen': [RESIZE, BRIGHTNESS, SHARPEN],
};

/** How steps follow one another: the worker's CARRY. */
const CARRIES = { carried: 'all', hopped: 'none' } as const;
type Carried = keyof typeof CARRIES;
const STORAGES = ['file', 'S3'] as const;

export async function benchSteps(bench: Bench): Promise<BenchmarkRow[]> {
  const photo = await largePhotoJpeg();
  await using s3 = await startSlowS3();
  const rows: BenchmarkRow[] = [];
  for (const [name, steps] of Object.entries(TASKS_BY_NAME))
    rows.push(...(await measureTask(bench, photo, s3, name, steps)));
  return rows;
}

async function measureTask(
  bench: Bench,
  photo: Buffer,
  s3: SlowS3,
  name: string,
  steps: Step[],
): Promise<BenchmarkRow[]> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(await photoFolder(photo));
  const count = bench.count(TASKS);
  const inProcess = stack.use(startInProcess(place.photo, place.folder, steps));
  const ways = (Object.keys(CARRIES) as Carried[]).slice(0, steps.length > 1 ? 2 : 1);
  const cells = ways.flatMap((way) =>
    STORAGES.map((storage) => ({ way, storage, key: `${way} ${storage}` })),
  );
  const costs: Record<string, Costs> = {};
  for (const { way, storage, key } of cells) {
    const darkroom = await Darkroom.start({
      amqpUrl: bench.amqpUrl,
      env: { CARRY: CARRIES[way] },
      filters: [...new Set(steps.map(({ filter }) => filter))],
      layout: { workers: 1, slots: 1 },
      photo,
      steps,
      s3: storage === 'S3' ? s3 : undefined,
    });
    costs[key] = stack.use(new Costs(darkroom, storage === 'S3' ? s3 : undefined));
  }
  const turns = Object.entries(costs).map(([key, contestant]) => [key, { contestant, count }]);
  const ms: Record<string, number> = await takeTurns(
    { inProcess: { contestant: inProcess, count }, ...Object.fromEntries(turns) },
    bench.rounds,
  );
  return cells.flatMap(({ way, storage, key }) => {
    const title = `${name}, 12 MP, ${steps.length > 1 ? `${way}, ` : ''}by ${storage}`;
    const row = { name: title, unit: 'ms CPU a task', ours: ms[key]! };
    const cost = { ...row, against: 'the same calls in one process', theirs: ms.inProcess! };
    const isHeldTo = steps.length > 1 && way === 'carried';
    const rows = [isHeldTo ? atMost(COST_GOAL, cost) : compared(cost)];
    if (storage === 'file') return rows;
    const byFile = { ...row, against: 'the same by file', theirs: ms[`${way} file`]! };
    if (steps.length === 1) rows.push(atMost(COST_GOAL, byFile));
    return [...rows, requestsRow(title, way, costs[key]!.requests)];
  });
}

function requestsRow(title: string, way: Carried, requests: RequestCounts): BenchmarkRow {
  const counts = Object.entries(requests);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const note = counts.map(([method, count]) => `${count.toFixed(1)} ${method}`).join(', ');
  const row = { name: `${title}, storage requests`, unit: 'a task', ours: total, note };
  return way === 'carried' ? { ...row, goal: `≤ ${REQUESTS_GOAL}`, met: total <= REQUESTS_GOAL } : row;
}
