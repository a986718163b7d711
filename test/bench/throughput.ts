/** Images a second through the queue, against a bare sharp loop on the same cores and photos. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Installation, startInstallation } from '../support/installation.ts';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { completedTasks } from './completions.ts';
import { atLeast, type BenchmarkRow, median } from './row.ts';

const PHOTOS = 150;
const ROUNDS = 3;
const WIDTH = 720;

/** A 12-megapixel JPEG to 720 pixels; bare and queued take turns, so that both see the same machine. */
export async function benchThroughput(amqpUrl: string): Promise<BenchmarkRow[]> {
  const photo = await largePhotoJpeg();
  const bare: number[] = [];
  const queued: number[] = [];
  await using at = await startInstallation({ amqpUrl, env: { THREADS: '1' } });
  await at.put('photo.jpg', photo);
  for (let core = 0; core < availableParallelism() + 1; core++) {
    const worker = await at.worker('resize');
    // Past its start: the telemetry SDK is loaded once.
    await until(async () => (await worker.get('/metrics')).status === 200, 'the metrics');
  }
  // As long as a round: code is compiled, and the storage has the folders that its markers go to.
  await throughQueue(at, 'warm-up', PHOTOS);
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await bareLoop(photo));
    queued.push(await throughQueue(at, `round-${round}`, PHOTOS));
  }
  return [
    atLeast(0.95, {
      name: `12 MP JPEG → ${WIDTH} px through the queue`,
      unit: 'images/s',
      ours: median(queued),
      against: 'a bare sharp loop, as many at once as cores',
      theirs: median(bare),
    }),
  ];
}

/** @returns images a second */
async function bareLoop(photo: Buffer): Promise<number> {
  const { default: sharp } = await import('sharp');
  sharp.cache(false);
  sharp.concurrency(1);
  await using folder = await temporaryFolder();
  const source = join(folder.path, 'photo.jpg');
  await mkdir(join(folder.path, 'out'));
  await writeFile(source, photo);
  let next = 0;
  const one = async () => {
    while (next < PHOTOS) {
      const index = next++;
      const bytes = await sharp(await readFile(source))
        .autoOrient()
        .resize({ width: WIDTH })
        // As Darkroom encodes.
        .jpeg({ optimiseCoding: false })
        .toBuffer();
      await writeFile(join(folder.path, 'out', `${index}.jpg`), bytes);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: availableParallelism() }, one));
  return (PHOTOS * 1_000) / (performance.now() - start);
}

/** @returns images a second, from the first publish to the last completion */
async function throughQueue(at: Installation, name: string, photos: number): Promise<number> {
  const before = completedTasks(at);
  const start = performance.now();
  const steps = [{ filter: 'resize', params: { width: WIDTH } }];
  await Promise.all(
    Array.from({ length: photos }, (_, index) =>
      at.publish({ id: `${name}-${index}`, input: 'photo.jpg', steps }),
    ),
  );
  await until(() => completedTasks(at) >= before + photos, `${photos} results`, 300_000);
  return (photos * 1_000) / (performance.now() - start);
}
