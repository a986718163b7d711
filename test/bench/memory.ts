/** How much memory a worker takes, by its slots. */
import { readFile } from 'node:fs/promises';
import { largePhotoJpeg } from '../support/large-photo.ts';
import { proportionalBytes } from '../support/process-facts.ts';
import { until } from '../support/until.ts';
import type { WorkerProcess } from '../support/worker-process.ts';
import { Darkroom } from './darkroom.ts';
import type { Bench, BenchmarkRow } from './row.ts';

const SLOTS = [1, 2, 4];
const PHOTOS_PER_SLOT = 20;
const MEBIBYTE = 1_048_576;

/** Resident memory of parent and children: idle, and the highest over 12-megapixel photos. */
export async function benchMemory(bench: Bench): Promise<BenchmarkRow[]> {
  const photo = await largePhotoJpeg();
  const rows: BenchmarkRow[] = [];
  for (const slots of SLOTS) rows.push(...(await measure(bench, photo, slots)));
  return rows;
}

async function measure(bench: Bench, photo: Buffer, slots: number): Promise<BenchmarkRow[]> {
  await using at = await Darkroom.start({
    amqpUrl: bench.amqpUrl,
    filters: ['resize'],
    layout: { workers: 1, slots },
    photo,
    steps: [{ filter: 'resize', params: { width: 2_000 } }],
  });
  const worker = at.workers[0]!;
  const idle = await memoryOf(worker);
  // The other slots open after the first task.
  await at.run(1);
  await until(async () => (await worker.childPids()).length === slots, 'a child for each slot');
  await at.run(bench.count(PHOTOS_PER_SLOT * slots));
  const peak = await memoryOf(worker);
  const row = (name: string, ours: number) => ({ name: `SLOTS=${slots}: ${name}`, unit: 'MiB', ours });
  return [
    row('parent, idle', idle.parent.now),
    row('each child, idle', Math.max(...idle.children.map(({ now }) => now))),
    row('all of it, idle, before the first task', idle.total),
    row('parent, highest', peak.parent.highest),
    row('each child, highest over 12 MP photos', Math.max(...peak.children.map(({ highest }) => highest))),
    row('all of it a slot, after the photos', peak.total / slots),
  ];
}

async function memoryOf(worker: WorkerProcess) {
  const children = await worker.childPids();
  const held = await Promise.all([worker.pid, ...children].map(proportionalBytes));
  return {
    parent: await residentOf(worker.pid),
    children: await Promise.all(children.map(residentOf)),
    /** Shared pages counted once. */
    total: held.reduce((sum, bytes) => sum + bytes, 0) / MEBIBYTE,
  };
}

async function residentOf(pid: number): Promise<{ now: number; highest: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const read = (field: string) =>
    (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024) / MEBIBYTE;
  return { now: read('VmRSS'), highest: read('VmHWM') };
}
