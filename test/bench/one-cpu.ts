/** Images a second of one worker that is held to one processor, by a folder and by a distant S3, for some slots. */
import { largePhotoJpeg } from '../support/large-photo.ts';
import { cannotHold, MEASURED_CPU, OTHER_CPU, stepAside } from './cpus.ts';
import type { Darkroom } from './darkroom.ts';
import { startBareLoop } from './peers/bare-loop.ts';
import { startSlowS3 } from './peers/slow-s3.ts';
import { atLeast, type Bench, type BenchmarkRow, compared } from './row.ts';
import { photoFolder, startResizers } from './throughput.ts';
import { takeTurns } from './turns.ts';

const S3_DELAY_MS = 40;
const SLOTS = [1, 2, 4, 8];
const PHOTOS = 100;
/** One slot does four or five of them a second by S3. */
const PHOTOS_PER_SLOT_BY_S3 = 25;
const STORAGES = ['file', 's3'] as const;

const WORDS = {
  file: { name: 'local disk', goal: 0.9 },
  s3: { name: `S3, ${S3_DELAY_MS} ms`, goal: 0.8 },
};

/** Broker, S3 server and this process are on the other processor, as far as they can be held there. */
export async function benchOneCpu(bench: Bench): Promise<BenchmarkRow[]> {
  const missing = await cannotHold();
  const title = 'one worker on one CPU, 12 MP → 720 px';
  if (missing !== undefined)
    return STORAGES.map((storage) =>
      missing.row({
        name: `${title}, ${WORDS[storage].name}`,
        unit: 'images/s',
        goal: `≥ ${WORDS[storage].goal}`,
      }),
    );
  await using stack = new AsyncDisposableStack();
  stack.use(await stepAside());
  const photo = await largePhotoJpeg();
  const place = stack.use(await photoFolder(photo));
  const bare = stack.use(startBareLoop({ ...place, atOnce: 2, cpu: MEASURED_CPU }));
  const s3 = stack.use(await startSlowS3(OTHER_CPU));
  await s3.delay(S3_DELAY_MS);
  const cells = STORAGES.flatMap((storage) =>
    SLOTS.map((slots) => ({ storage, slots, key: `${storage} ${slots}` })),
  );
  const turns: Record<string, { contestant: Darkroom; count: number }> = {};
  for (const { storage, slots, key } of cells) {
    const options = { isHeld: true, s3: storage === 's3' ? s3 : undefined };
    const contestant = await startResizers(bench, photo, { workers: 1, slots }, options);
    const count = bench.count(storage === 's3' ? Math.min(PHOTOS, slots * PHOTOS_PER_SLOT_BY_S3) : PHOTOS);
    turns[key] = { contestant: stack.use(contestant), count };
  }
  const rates: Record<string, number> = await takeTurns(
    { bare: { contestant: bare, count: bench.count(PHOTOS) }, ...turns },
    bench.rounds,
  );
  const rowOf = (name: string, ours: number) => ({
    name: `${title}, ${name}`,
    unit: 'images/s',
    ours,
    against: 'a bare sharp loop on that CPU',
    theirs: rates.bare!,
  });
  return STORAGES.flatMap((storage) => {
    const { name, goal } = WORDS[storage];
    const bySlots = SLOTS.map((slots) => ({ slots, rate: rates[`${storage} ${slots}`]! }));
    const best = bySlots.reduce((a, b) => (b.rate > a.rate ? b : a));
    return [
      ...bySlots.map(({ slots, rate }) => compared(rowOf(`${name}, SLOTS=${slots}`, rate))),
      atLeast(goal, rowOf(`${name}, best SLOTS (${best.slots})`, best.rate)),
    ];
  });
}
