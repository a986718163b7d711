/** Steps over a real storage: who wins an id, and what a repeat finds. */
import { describe, expect, it } from 'vitest';
import { outputOf, readMarker, writeMarker } from '../../../runtime/task/task-marker.ts';
import { markFailed } from '../../../runtime/worker/finish-task.ts';
import type { Job } from '../../../runtime/worker/protocol.ts';
import { FLIP, GREY, openStepSite, type StepSite, stepJob } from './step-site.ts';

describe('two tasks with one id', () => {
  it('have one winner, whose result stays; the other is refused', async () => {
    await using site = await openStepSite();
    const first = stepJob({ steps: [FLIP] });

    expect(await site.run(first)).toMatchObject({ kind: 'completed' });
    const stored = await site.storage.read('out/x.png');
    const second = await site.run(stepJob({ steps: [GREY] }));

    expect(second).toMatchObject({ kind: 'failed', consequence: 'reject', failureType: 'task-id-reused' });
    expect((await site.storage.read('out/x.png')).equals(stored)).toBe(true);
  });

  it('that run at once have one winner, and what it says is what is stored', async () => {
    await using site = await openStepSite();
    const jobs = [
      [FLIP],
      [GREY],
      [{ filter: 'flip', params: { direction: 'vertical' } }],
      [FLIP, GREY].slice(1),
    ];
    const results = await Promise.all(
      jobs.map((steps, quality) => site.run(stepJob({ steps, output: { compressionLevel: quality } }))),
    );

    expect(results.filter(({ kind }) => kind === 'completed')).toHaveLength(1);
    const marker = (await readMarker(site.storage, 'x', 0))!;
    const stored = await site.storage.read('out/x.png');
    expect(outputOf(marker)).toMatchObject({ bytes: stored.length });
    for (const result of results)
      if (result.kind !== 'completed') expect(result).toMatchObject({ failureType: 'task-id-reused' });
  });

  it('are the same task when only defaults differ', async () => {
    await using site = await openStepSite();
    await site.run(stepJob({ steps: [FLIP] }));
    const again = await site.run(
      stepJob({ steps: [{ filter: 'flip', params: { direction: 'horizontal' } }] }),
    );
    expect(again).toMatchObject({ kind: 'ended', marker: { outcome: 'completed' } });
  });
});

describe('a cancelled task', () => {
  it('stores no result, even when it is cancelled at its very end', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] });
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

describe('a result that the storage never takes', () => {
  it('is told from one that it takes later', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP], output: { key: 'a.png/x.png' } });
    expect(await site.run(job)).toMatchObject({ consequence: 'reject', isResultRefused: true });
    const unread = await site.run(stepJob({ id: 'y', input: 'none.png', steps: [FLIP] }));
    expect(unread).not.toHaveProperty('isResultRefused');
  });
});

describe('a worker that died between the marker and the result', () => {
  async function promise(site: StepSite, job: Job): Promise<Buffer> {
    await site.run(job);
    const result = await site.storage.read('out/x.png');
    await site.storage.remove('out/x.png');
    return result;
  }

  it('leaves the result to the repeat of its delivery', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] });
    const result = await promise(site, job);

    expect(await site.run({ ...job, isRepeat: true })).toMatchObject({ kind: 'completed' });
    expect((await site.storage.read('out/x.png')).equals(result)).toBe(true);
  });

  it('leaves it to that alone: another copy waits for it', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] });
    await promise(site, job);

    const other = await site.run(job);
    expect(other).toMatchObject({ kind: 'failed', consequence: 'retry', failureType: 'storage' });
    expect(await site.storage.stat('out/x.png')).toBeUndefined();
  });

  it('leaves it to no copy that has promised nothing, however often that one is tried', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] }, { hasNotPromised: true });
    await promise(site, job);

    for (const isRepeat of [false, true])
      expect(await site.run({ ...job, isRepeat })).toMatchObject({
        consequence: 'retry',
        hasNotPromised: true,
      });
    expect(await site.storage.stat('out/x.png')).toBeUndefined();
    await site.storage.remove('a.png');
    expect(await site.run({ ...job, isRepeat: true })).toMatchObject({ hasNotPromised: true });
  });

  it('is told from a result that a newer task has replaced', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] });
    await site.run(job);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await site.storage.write('out/x.png', Buffer.from('newer'));

    expect(await site.run({ ...job, isRepeat: true })).toMatchObject({ kind: 'ended' });
    expect((await site.storage.read('out/x.png')).toString()).toBe('newer');
  });

  it('replies with its own image only, never with what has taken its place', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] }, { wantsImage: true });
    await site.run(job);
    expect(await site.run({ ...job, isRepeat: true })).toHaveProperty('image');
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await site.storage.write('out/x.png', Buffer.from('somebody else’s'));

    expect(await site.run({ ...job, isRepeat: true })).not.toHaveProperty('image');
  });

  it('cannot be failed while its promise may still be kept; the promise can be taken back', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP] });
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
    await using site = await openStepSite();
    const photo = await site.storage.read('a.png');
    for (const key of ['out/a.png', 'mark.png', 'out/w.png']) await site.storage.write(key, photo);

    const result = await site.run(stepJob(task));

    expect(result).toMatchObject({ kind: 'failed', consequence: 'reject', failureType: 'invalid-task' });
    for (const key of ['out/a.png', 'mark.png', 'out/w.png'])
      expect((await site.storage.read(key)).equals(photo)).toBe(true);
  });
});
