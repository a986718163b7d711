/** Steps over a storage whose markers and intermediates were damaged. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectMarker, intermediateKey, markerKey, readMarker } from '../../../runtime/task/task-marker.ts';
import { FLIP, GREY, openStepSite, stepJob } from './step-site.ts';

describe('a marker', () => {
  const damages: [string, (bytes: Buffer) => Buffer][] = [
    ['emptied', () => Buffer.alloc(0)],
    ['cut off', (bytes) => bytes.subarray(0, bytes.length / 2)],
    ['with a flipped bit', (bytes) => Buffer.from(bytes.map((byte, at) => (at === 30 ? byte ^ 1 : byte)))],
    ['of another task', (bytes) => Buffer.from(bytes.toString().replaceAll('"x"', '"y"'))],
    ['that is other JSON', () => Buffer.from('{"task_id":"x","generation":0,"outcome":"completed"}')],
    ['that is huge', () => Buffer.from(`{"a":"${'x'.repeat(500_000)}"}`)],
  ];

  it.each(damages)('%s counts as damage, not as an end, and heals by the work', async (_, damage) => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] });
    await site.run(job);
    const file = join(site.folder, markerKey('x', 0));
    await writeFile(file, damage(await readFile(file)));

    await expect(inspectMarker(site.storage, 'x', 0)).rejects.toThrow('marker');
    expect(await readMarker(site.storage, 'x', 0)).toBeUndefined();
    expect(await site.run(job)).toMatchObject({ kind: 'completed' });
    expect(await inspectMarker(site.storage, 'x', 0)).toMatchObject({ outcome: 'completed' });
  });

  it.each([
    ['x', 1, 'x.1', 0],
    ['x', 1, 'x~1', 0],
    ['x', 11, 'x.1', 1],
    ['a', 0, 'a.json', 0],
    ['~x', 1, 'x', 1],
  ])(
    'of %s in generation %d is not that of %s in generation %d',
    (id, generation, other, otherGeneration) => {
      expect(markerKey(id, generation)).not.toBe(markerKey(other, otherGeneration));
    },
  );
});

describe('an image between two steps', () => {
  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 7)],
    [
      'with a flipped bit',
      (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === bytes.length - 50 ? byte ^ 4 : byte))),
    ],
    ['emptied', () => Buffer.alloc(0)],
  ])('%s is made again', async (_, damage) => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP, GREY] });
    await site.run(job);
    const file = join(site.folder, intermediateKey(job.task, 0));
    await writeFile(file, damage(await readFile(file)));

    expect(await site.run({ ...job, step: 1, fromStep: 1 })).toEqual({ kind: 'restart' });
    const again = { ...job, isRepeat: true, isRestart: true };
    expect(await site.run(again)).toMatchObject({ kind: 'stepped', repeated: false });
    expect(await site.run({ ...again, step: 1, fromStep: 1 })).toMatchObject({ kind: 'completed' });
  });
});
