/** The same cores as one worker with several slots, or as several workers: images a second, memory, connections. */
import { availableParallelism } from 'node:os';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { descendantPids, proportionalBytes } from '../support/process-facts.ts';
import type { Darkroom, Layout } from './darkroom.ts';
import { startBareLoop } from './peers/bare-loop.ts';
import { type Bench, type BenchmarkRow, compared } from './row.ts';
import { photoFolder, startResizers } from './throughput.ts';
import { takeTurns } from './turns.ts';

const PHOTOS = 200;
const GIBIBYTE = 2 ** 30;
/** A worker has one to consume and one to publish. */
const CONNECTIONS = 2;

const LAYOUTS: Layout[] = [
  { workers: 1, slots: 1 },
  { workers: 1, slots: 2 },
  { workers: 1, slots: 3 },
  { workers: 1, slots: 4 },
  { workers: 2, slots: 1 },
  { workers: 2, slots: 2 },
  { workers: 3, slots: 1 },
  { workers: 4, slots: 1 },
];

export async function benchLayouts(bench: Bench): Promise<BenchmarkRow[]> {
  const photo = await largePhotoJpeg();
  await using stack = new AsyncDisposableStack();
  const place = stack.use(await photoFolder(photo));
  const count = bench.count(PHOTOS);
  const bare = stack.use(startBareLoop({ ...place, atOnce: availableParallelism() }));
  const started: Record<string, Darkroom> = {};
  for (const layout of LAYOUTS)
    started[nameOf(layout)] = stack.use(await startResizers(bench, photo, layout));
  const ours = Object.fromEntries(
    Object.entries(started).map(([name, contestant]) => [name, { contestant, count }]),
  );
  const rates = await takeTurns({ bare: { contestant: bare, count }, ...ours }, bench.rounds);
  return await Promise.all(
    LAYOUTS.map(async (layout) => {
      const name = nameOf(layout);
      const gibibytes = (await memoryOf(started[name]!)) / GIBIBYTE;
      const rate = (rates as Record<string, number>)[name]!;
      return compared({
        name: `12 MP JPEG → 720 px, ${name}`,
        unit: 'images/s',
        ours: rate,
        against: 'a bare sharp loop, as many at once as cores',
        theirs: rates.bare,
        note: `${gibibytes.toFixed(2)} GiB, ${(rate / gibibytes).toFixed(0)} images/s a GiB, ${CONNECTIONS * layout.workers} connections`,
      });
    }),
  );
}

function nameOf({ workers, slots }: Layout): string {
  return `${workers} × SLOTS=${slots}`;
}

/** What its processes hold, shared pages counted once. */
async function memoryOf({ workers }: Darkroom): Promise<number> {
  const trees = await Promise.all(workers.map(async ({ pid }) => [pid, ...(await descendantPids(pid))]));
  const bytes = await Promise.all(trees.flat().map(proportionalBytes));
  return bytes.reduce((sum, each) => sum + each, 0);
}
