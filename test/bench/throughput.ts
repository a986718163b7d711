/** Images a second through the queue, on all cores: Darkroom, a bare loop and other queues take turns. */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Step } from '../../runtime/task/task.ts';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { ADVISED, Darkroom, type Layout } from './darkroom.ts';
import { startBareLoop } from './peers/bare-loop.ts';
import { startBullmq } from './peers/bullmq.ts';
import { startCelery } from './peers/celery.ts';
import { WIDTH } from './peers/make-small.ts';
import { atLeast, type Bench, type BenchmarkRow, compared, Missing } from './row.ts';
import { type Contestant, type Turn, takeTurns } from './turns.ts';

const PHOTOS = 200;
const NAME = `12 MP JPEG → ${WIDTH} px through the queue`;
const UNIT = 'images/s';
export const RESIZE: Step = { filter: 'resize', params: { width: WIDTH } };

/** A folder with the photo, and one for results, both gone when disposed of. */
export async function photoFolder(photo: Uint8Array) {
  const folder = await temporaryFolder();
  const paths = { photo: join(folder.path, 'photo.jpg'), folder: join(folder.path, 'out') };
  await mkdir(paths.folder);
  await writeFile(paths.photo, photo);
  return { ...paths, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

/** As many photos at once as cores, whoever works on them. */
export async function benchThroughput(bench: Bench): Promise<BenchmarkRow[]> {
  const photo = await largePhotoJpeg();
  const atOnce = availableParallelism();
  await using stack = new AsyncDisposableStack();
  const place = { ...stack.use(await photoFolder(photo)), atOnce };
  const bare = stack.use(startBareLoop(place));
  const ours = stack.use(await startResizers(bench, photo, ADVISED));
  const plain = optional(await startBullmq({ ...place, durability: 'as it comes' }), stack);
  const safe = optional(await startBullmq({ ...place, durability: 'safe' }), stack);
  const celery = optional(await startCelery(place.photo, place.folder), stack);
  const contestants: Record<string, Contestant | Missing> = { bare, ours, plain, safe, celery };
  const turns: Record<string, Turn> = {};
  for (const [name, contestant] of Object.entries(contestants))
    if (!(contestant instanceof Missing)) turns[name] = { contestant, count: bench.count(PHOTOS) };
  const rates = await takeTurns(turns, bench.rounds);
  const row = { name: NAME, unit: UNIT, ours: rates.ours! };
  const against = (words: string, peer: string) => ({ ...row, against: words, theirs: rates[peer]! });
  return [
    atLeast(0.9, against('a bare sharp loop, as many at once as cores', 'bare')),
    safe instanceof Missing
      ? safe.row({ ...row, goal: '≥ 1', against: 'BullMQ + sharp, same durability' })
      : atLeast(1, against(`BullMQ + sharp, same durability (${safe.versions})`, 'safe')),
    plain instanceof Missing
      ? plain.row({ ...row, against: 'BullMQ + sharp, as it comes' })
      : compared(against(`BullMQ + sharp, as it comes (${plain.versions})`, 'plain')),
    celery instanceof Missing
      ? celery.row({ ...row, against: 'Celery + Pillow, same durability' })
      : compared(against(`Celery + Pillow, same durability (${celery.versions})`, 'celery')),
  ];
}

export function startResizers(
  { amqpUrl }: Bench,
  photo: Uint8Array,
  layout: Layout,
  options: Partial<Parameters<typeof Darkroom.start>[0]> = {},
): Promise<Darkroom> {
  return Darkroom.start({ amqpUrl, filters: ['resize'], layout, photo, steps: [RESIZE], ...options });
}

function optional<T extends AsyncDisposable>(peer: T | Missing, stack: AsyncDisposableStack): T | Missing {
  return peer instanceof Missing ? peer : stack.use(peer);
}
