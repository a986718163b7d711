/** What Darkroom keeps of a task in the storage, as nobody should find it: markers, records and images of any content. */
import { mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openStorage } from '../../../runtime/storage/open.ts';
import type { Storage } from '../../../runtime/storage/storage.ts';
import {
  intermediatesFolder,
  markerKey,
  type TaskMarker,
  writeMarker,
} from '../../../runtime/task/task-marker.ts';
import type { Random } from './random.ts';

const ODD: unknown[] = [
  null,
  true,
  -1,
  1e308,
  '',
  '\x1b]0;owned\x07',
  '\u202egnp.exe',
  '../../../etc/passwd',
  'x'.repeat(5_000),
  [],
  {},
  [[{ key: null }]],
];

/** Writes the state of one task. */
type Write = (site: Site, id: string) => Promise<unknown>;

interface Site {
  folder: string;
  storage: Storage;
  random: Random;
}

/** Of so many tasks, named `state-0`, `state-1`, … @returns their ids */
export async function writeWildState(folder: string, count: number, random: Random): Promise<string[]> {
  const site = { folder, storage: await openStorage(`file://${folder}`), random };
  const ids = Array.from({ length: count }, (_, n) => `state-${n}`);
  for (const id of ids) {
    await random.pick(MARKERS)(site, id);
    if (random.next() < 0.3) await random.pick(RECORDS)(site, id);
  }
  return ids;
}

const MARKERS: Write[] = [
  async () => {},
  (site, id) => put(site, markerKey(id, 0), Buffer.alloc(0)),
  (site, id) => put(site, markerKey(id, 0), randomBytes(site.random)),
  (site, id) => put(site, markerKey(id, 0), Buffer.alloc(2 * 1_048_576, '{"a":')),
  (site, id) => put(site, markerKey(id, 0), Buffer.from('['.repeat(100_000))),
  (site, id) => mkdir(join(site.folder, markerKey(id, 0)), { recursive: true }),
  (site, id) => link(site, markerKey(id, 0), '/etc/passwd'),
  (site, id) => link(site, markerKey(id, 0), join(site.folder, 'nothing')),
  (site, id) => writeMarker(site.storage, oddMarker(site.random, id)),
  (site, id) => writeMarker(site.storage, oddMarker(site.random, id, site.random.integer(1, 3))),
  async (site, id) => {
    await writeMarker(site.storage, oddMarker(site.random, id));
    const file = join(site.folder, markerKey(id, 0));
    const { length } = await readFile(file);
    await truncate(file, site.random.integer(0, length - 1));
  },
  // Of another task, in its place.
  async (site, id) => {
    await writeMarker(site.storage, oddMarker(site.random, `other-${id}`));
    await put(site, markerKey(id, 0), await readFile(join(site.folder, markerKey(`other-${id}`, 0))));
  },
];

const RECORDS: Write[] = [
  (site, id) => put(site, recordKey(id), randomBytes(site.random)),
  (site, id) => put(site, recordKey(id), Buffer.from(JSON.stringify(oddRecord(site.random)))),
  (site, id) => put(site, recordKey(id), Buffer.alloc(3 * 1_048_576, ' ')),
  (site, id) => mkdir(join(site.folder, recordKey(id)), { recursive: true }),
  (site, id) => put(site, `${intermediatesFolder(id)}/\x1b[2J-step-99`, randomBytes(site.random)),
  (site, id) => put(site, `${intermediatesFolder(id)}/000000000000-step-1`, randomBytes(site.random)),
];

/** With a checksum that is right. */
function oddMarker({ pick }: Random, id: string, generation = 0): TaskMarker {
  const output = pick<unknown>([
    pick(ODD),
    { key: pick(ODD), bytes: pick(ODD), sha256: pick(ODD), format: pick(ODD) },
  ]);
  const marker = {
    task_id: id,
    generation,
    fingerprint: pick(['', pick(ODD)]),
    outcome: pick(['completed', 'failed', 'cancelled', pick(ODD)]),
    time: pick(['2026-01-01T00:00:00.000Z', pick(ODD)]),
    data: pick<unknown>([
      pick(ODD),
      { output, failure_type: pick(ODD), failure_reason: pick(ODD), steps: pick(ODD), step: pick(ODD) },
    ]),
  };
  return marker as TaskMarker;
}

function oddRecord({ pick }: Random): unknown {
  const steps = pick<unknown>([pick(ODD), [{ filter: pick(['flip', pick(ODD)]), params: pick(ODD) }]]);
  return pick<unknown>([
    pick(ODD),
    { time: pick(['2026-01-01T00:00:00.000Z', pick(ODD)]), generation: pick([0, 7, pick(ODD)]), steps },
  ]);
}

function randomBytes({ integer }: Random): Buffer {
  return Buffer.from(Array.from({ length: integer(1, 300) }, () => integer(0, 255)));
}

/** Where whoever publishes a task leaves what it has submitted. */
function recordKey(id: string): string {
  return `${intermediatesFolder(id)}/submitted.json`;
}

async function put({ folder }: Site, key: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(join(folder, key)), { recursive: true });
  await writeFile(join(folder, key), bytes);
}

async function link({ folder }: Site, key: string, target: string): Promise<void> {
  await mkdir(dirname(join(folder, key)), { recursive: true });
  await symlink(target, join(folder, key));
}
