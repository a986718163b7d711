/** How much memory a worker takes. */
import { readFile } from 'node:fs/promises';
import { startInstallation } from '../support/installation.ts';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { until } from '../support/until.ts';
import type { WorkerProcess } from '../support/worker-process.ts';
import { completedTasks } from './completions.ts';
import type { BenchmarkRow } from './row.ts';

const PHOTOS_FOR_PEAK = 20;
const MEBIBYTE = 1_048_576;

/** Resident memory of parent and child: idle, and the highest over 12-megapixel photos. */
export async function benchMemory(amqpUrl: string): Promise<BenchmarkRow[]> {
  await using at = await startInstallation({ amqpUrl });
  const worker = await at.worker('resize');
  await until(async () => (await worker.get('/metrics')).status === 200, 'the metrics');
  const idle = await memoryOf(worker);
  await at.put('photo.jpg', await largePhotoJpeg());
  for (let photo = 0; photo < PHOTOS_FOR_PEAK; photo++) {
    await at.publish({
      id: `peak-${photo}`,
      input: 'photo.jpg',
      steps: [{ filter: 'resize', params: { width: 2_000 } }],
    });
  }
  await until(() => completedTasks(at) >= PHOTOS_FOR_PEAK, 'the photos', 120_000);
  const peak = await memoryOf(worker);
  return [
    { name: 'parent, idle', unit: 'MiB', ours: idle.parent.now },
    { name: 'child, idle', unit: 'MiB', ours: idle.child.now },
    { name: 'parent, highest', unit: 'MiB', ours: peak.parent.highest },
    { name: 'child, highest over 12 MP photos', unit: 'MiB', ours: peak.child.highest },
  ];
}

async function memoryOf(worker: WorkerProcess) {
  return { parent: await residentOf(worker.process.pid!), child: await residentOf(await worker.childPid()) };
}

async function residentOf(pid: number): Promise<{ now: number; highest: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const read = (field: string) =>
    (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024) / MEBIBYTE;
  return { now: read('VmRSS'), highest: read('VmHWM') };
}
