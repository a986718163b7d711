/** What damage in the storage does to `darkroom status` and `cancel`: it is told, it counts as no end, and it gives way. */
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { statusOf } from '../../../runtime/cli/task-status.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import {
  intermediatesFolder,
  markerKey,
  type TaskMarker,
  writeMarker,
} from '../../../runtime/task/task-marker.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { FAILED_AT, markEnded, TASK } from '../../support/letters.ts';

const STEPS = TASK.steps.map(({ filter, params = {} }) => ({ filter, params }));
const storageOf = (at: Installation) => openStorage(at.env.STORAGE_URL);
const statusIn = (at: Installation, id = 'cat') => statusOf(id, at.config);

type Damage = (file: string) => Promise<void>;
const overwrite =
  (change: (bytes: Buffer) => string | Buffer): Damage =>
  async (file) =>
    writeFile(file, change(await readFile(file)));
const DAMAGES: [string, Damage][] = [
  ['emptied', overwrite(() => '')],
  ['cut off', overwrite((bytes) => bytes.subarray(0, bytes.length / 2))],
  ['altered', overwrite((bytes) => bytes.toString().replaceAll('a', 'e'))],
  ['of another task', overwrite((bytes) => bytes.toString().replaceAll('"cat"', '"dog"'))],
  ['no text', overwrite(() => Buffer.from([0xff, 0xfe, 0, 0x1b]))],
  ['no JSON', overwrite(() => '{'.repeat(1_000))],
  ['other JSON', overwrite(() => '[{"steps":null,"generation":"x"}]')],
  ['null', overwrite(() => 'null')],
  ['nested thousands deep', overwrite(() => `${'['.repeat(20_000)}${']'.repeat(20_000)}`)],
  ['huge', overwrite(() => Buffer.alloc(3_000_000, 'x'))],
  [
    'a link',
    async (file) => {
      await rm(file);
      await symlink('/etc/hostname', file);
    },
  ],
  [
    'a folder',
    async (file) => {
      await rm(file);
      await mkdir(file);
    },
  ],
];

describe.each(DAMAGES)('a marker that is %s', (what, damage) => {
  it('is told by status, counts as no end, and gives way to a cancellation', async () => {
    await using at = await startInstallation();
    await markEnded(await storageOf(at), 0, { outcome: 'completed' });
    await damage(join(at.folder, markerKey('cat', 0)));

    const status = await statusIn(at);
    const shown = await at.darkroom('status', 'cat');

    // Where a folder has the name, there is no object.
    expect(status.state).toBe(what === 'a folder' ? 'unknown' : 'damaged');
    expect(shown.code).toBe(1);
    if (what !== 'a folder') expect(status.explanation).toMatch(/marker.*its work is done again/);
    const cancelled = await at.darkroom('cancel', 'cat', '--json');
    expect(cancelled.code, cancelled.stderr).not.toBe(70);
    if (!['a link', 'a folder'].includes(what))
      expect(JSON.parse(cancelled.stdout)).toMatchObject({ cancelled: true, damaged: true });
  });
});

describe.each(DAMAGES)('a record that is %s', (what, damage) => {
  it('ends neither status nor cancel', async () => {
    await using at = await startInstallation();
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS, 1);
    const file = join(at.folder, intermediatesFolder('cat'), 'submitted.json');
    await mkdir(dirname(file), { recursive: true });
    await damage(file);

    const status = await statusIn(at);
    const cancelled = await at.darkroom('cancel', 'cat', '--json');

    expect(cancelled.code, cancelled.stderr).toBe(0);
    if (['altered', 'of another task', 'a folder'].includes(what)) return;
    expect(status).toMatchObject({
      state: 'unknown',
      explanation: expect.stringMatching(/record.*is damaged/),
    });
  });
});

it('a damaged marker hides neither an earlier nor a later end', async () => {
  await using at = await startInstallation();
  const marker = (generation: number): TaskMarker => ({
    task_id: 'cat',
    generation,
    fingerprint: 'f',
    outcome: generation === 2 ? 'completed' : 'failed',
    time: FAILED_AT,
    data: { failure_reason: 'full', failure_type: 'storage' },
  });
  for (const generation of [0, 1, 2]) await writeMarker(await storageOf(at), marker(generation));
  await writeFile(join(at.folder, markerKey('cat', 1)), '');

  expect(await statusIn(at)).toMatchObject({ state: 'completed', generation: 2 });
});
