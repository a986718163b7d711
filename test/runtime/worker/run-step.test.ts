/** Steps over a real storage: who wins an id, what a repeat finds, what damage does. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { FUNCTIONS_DIR } from '../../../runtime/functions.ts';
import { DEFAULT_LIMITS } from '../../../runtime/image/limits.ts';
import { openInputs } from '../../../runtime/storage/inputs.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import type { Storage } from '../../../runtime/storage/storage.ts';
import { parseTask } from '../../../runtime/task/task.ts';
import {
  inspectMarker,
  intermediateKey,
  markerKey,
  outputOf,
  readMarker,
  writeMarker,
} from '../../../runtime/task/task-marker.ts';
import { markFailed } from '../../../runtime/worker/finish-task.ts';
import { inputBuffer } from '../../../runtime/worker/input-buffer.ts';
import type { Job, StepResult } from '../../../runtime/worker/protocol.ts';
import { runStep } from '../../../runtime/worker/run-step.ts';
import type { StepResources } from '../../../runtime/worker/step-resources.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const NEVER = new AbortController().signal;

interface Site extends AsyncDisposable {
  folder: string;
  storage: Storage;
  resources: StepResources;
  run(job: Job): Promise<StepResult>;
}

async function openSite(): Promise<Site> {
  const folder = await temporaryFolder();
  const storage = await openStorage(folder.path);
  const resources: StepResources = {
    storage,
    inputs: openInputs({ storage }),
    limits: DEFAULT_LIMITS,
    functionsDir: FUNCTIONS_DIR,
    inputGraceMs: 0,
    inputRoom: inputBuffer(DEFAULT_LIMITS.inputBytes),
  };
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 40 };
  const photo = await sharp({ create: { width: 24, height: 16, channels: 3, background: 'red', noise } })
    .png()
    .toBuffer();
  await storage.write('a.png', photo);
  return {
    folder: folder.path,
    storage,
    resources,
    run: (job) => runStep(job, resources, NEVER),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const FLIP = { filter: 'flip' };
const GREY = { filter: 'grayscale' };

function jobOf(task: object, more: Partial<Job> = {}): Job {
  const body = Buffer.from(JSON.stringify({ id: 'x', input: 'a.png', ...task }));
  const parsed = parseTask({ body, properties: { contentType: 'application/json' }, headers: {} }, 'flip');
  return {
    task: parsed.task,
    step: 0,
    generation: 0,
    attempt: 0,
    isRepeat: false,
    isRestart: false,
    wantsImage: false,
    waitingSinceMs: null,
    history: [],
    queueMs: null,
    about: {},
    ...more,
  };
}

describe('two tasks with one id', () => {
  it('have one winner, whose result stays; the other is refused', async () => {
    await using site = await openSite();
    const first = jobOf({ steps: [FLIP] });

    expect(await site.run(first)).toMatchObject({ kind: 'completed' });
    const stored = await site.storage.read('out/x.png');
    const second = await site.run(jobOf({ steps: [GREY] }));

    expect(second).toMatchObject({ kind: 'failed', consequence: 'reject', failureType: 'task-id-reused' });
    expect((await site.storage.read('out/x.png')).equals(stored)).toBe(true);
  });

  it('that run at once have one winner, and what it says is what is stored', async () => {
    await using site = await openSite();
    const jobs = [
      [FLIP],
      [GREY],
      [{ filter: 'flip', params: { direction: 'vertical' } }],
      [FLIP, GREY].slice(1),
    ];
    const results = await Promise.all(
      jobs.map((steps, quality) => site.run(jobOf({ steps, output: { compressionLevel: quality } }))),
    );

    expect(results.filter(({ kind }) => kind === 'completed')).toHaveLength(1);
    const marker = (await readMarker(site.storage, 'x', 0))!;
    const stored = await site.storage.read('out/x.png');
    expect(outputOf(marker)).toMatchObject({ bytes: stored.length });
    for (const result of results)
      if (result.kind !== 'completed') expect(result).toMatchObject({ failureType: 'task-id-reused' });
  });

  it('are the same task when only defaults differ', async () => {
    await using site = await openSite();
    await site.run(jobOf({ steps: [FLIP] }));
    const again = await site.run(jobOf({ steps: [{ filter: 'flip', params: { direction: 'horizontal' } }] }));
    expect(again).toMatchObject({ kind: 'ended', marker: { outcome: 'completed' } });
  });
});

describe('a cancelled task', () => {
  it('stores no result, even when it is cancelled at its very end', async () => {
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP] });
    // The cancellation comes between the step's look at the marker and its own.
    const write = site.storage.write.bind(site.storage);
    const cancelled = { task_id: 'x', generation: 0, fingerprint: '', time: '', data: {} };
    site.storage.write = async (...args) => {
      site.storage.write = write;
      await writeMarker(site.storage, { ...cancelled, outcome: 'cancelled' });
      return await write(...args);
    };

    expect(await site.run(job)).toMatchObject({ kind: 'ended', marker: { outcome: 'cancelled' } });
    expect(await site.storage.stat('out/x.png')).toBeUndefined();
  });
});

describe('a worker that died between the marker and the result', () => {
  async function promise(site: Site, job: Job): Promise<Buffer> {
    await site.run(job);
    const result = await site.storage.read('out/x.png');
    await site.storage.remove('out/x.png');
    return result;
  }

  it('leaves the result to the repeat of its delivery', async () => {
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP] });
    const result = await promise(site, job);

    expect(await site.run({ ...job, isRepeat: true })).toMatchObject({ kind: 'completed' });
    expect((await site.storage.read('out/x.png')).equals(result)).toBe(true);
  });

  it('leaves it to that alone: another copy waits for it', async () => {
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP] });
    await promise(site, job);

    const other = await site.run(job);
    expect(other).toMatchObject({ kind: 'failed', consequence: 'retry', failureType: 'storage' });
    expect(await site.storage.stat('out/x.png')).toBeUndefined();
  });

  it('is told from a result that a newer task has replaced', async () => {
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP] });
    await site.run(job);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await site.storage.write('out/x.png', Buffer.from('newer'));

    expect(await site.run({ ...job, isRepeat: true })).toMatchObject({ kind: 'ended' });
    expect((await site.storage.read('out/x.png')).toString()).toBe('newer');
  });

  it('cannot be failed while its promise may still be kept; the promise can be taken back', async () => {
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP] });
    await promise(site, job);
    const failed = { ...(await readMarker(site.storage, 'x', 0))!, outcome: 'failed' as const };

    expect(await markFailed(job.task, failed, false, site.resources)).toMatchObject({
      isStored: false,
      marker: { outcome: 'completed' },
    });
    expect(await markFailed(job.task, failed, true, site.resources)).toMatchObject({
      isStored: true,
      marker: { outcome: 'failed' },
    });
    expect(await readMarker(site.storage, 'x', 0)).toMatchObject({ outcome: 'failed' });
  });
});

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
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP] });
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
    await using site = await openSite();
    const job = jobOf({ steps: [FLIP, GREY] });
    await site.run(job);
    const file = join(site.folder, intermediateKey(job.task, 0));
    await writeFile(file, damage(await readFile(file)));

    expect(await site.run({ ...job, step: 1 })).toEqual({ kind: 'restart' });
    const again = { ...job, isRepeat: true, isRestart: true };
    expect(await site.run(again)).toMatchObject({ kind: 'stepped', repeated: false });
    expect(await site.run({ ...again, step: 1 })).toMatchObject({ kind: 'completed' });
  });
});

describe('a result over what the task reads', () => {
  it.each([
    ['its input by default', { id: 'a', input: 'out/a.png', steps: [FLIP] }],
    [
      'its watermark',
      { output: { key: 'mark.png' }, steps: [{ filter: 'watermark', params: { image: 'mark.png' } }] },
    ],
    [
      'its watermark by default',
      { id: 'w', steps: [{ filter: 'watermark', params: { image: 'out/w.png' } }] },
    ],
  ])('is refused: %s', async (_, task) => {
    await using site = await openSite();
    const photo = await site.storage.read('a.png');
    for (const key of ['out/a.png', 'mark.png', 'out/w.png']) await site.storage.write(key, photo);

    const result = await site.run(jobOf(task));

    expect(result).toMatchObject({ kind: 'failed', consequence: 'reject', failureType: 'invalid-task' });
    for (const key of ['out/a.png', 'mark.png', 'out/w.png'])
      expect((await site.storage.read(key)).equals(photo)).toBe(true);
  });
});
