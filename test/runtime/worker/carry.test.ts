/** Steps that one worker does one after the other, on the image in its memory. */
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { CarryMode } from '../../../runtime/worker/carry.ts';
import { isWorthCarrying } from '../../../runtime/worker/carry.ts';
import type { Job, StepResult } from '../../../runtime/worker/protocol.ts';
import { leaveStep } from '../../../runtime/worker/run-step.ts';
import { createRandom } from '../../chaos/support/random.ts';
import { CALLS } from '../../support/calls.ts';
import { FLIP, GREY, openStepSite, type StepSite, stepJob } from './step-site.ts';

const SHARP = { filter: 'sharpen', params: { factor: 1.5 } };
const NEVER = new AbortController().signal;

/** Runs a task as a slot does. @returns how each step ended */
async function runAll(site: StepSite, first: Job): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for (let { step, fromStep } = first; step < first.task.steps.length; step++) {
    const result = await site.run({ ...first, step, fromStep });
    results.push(result);
    if (result.kind !== 'stepped' && result.kind !== 'carried') break;
    if (result.kind === 'stepped') fromStep = step + 1;
  }
  return results;
}

const kinds = (results: StepResult[]) => results.map(({ kind }) => kind);

describe('whether a step is carried', () => {
  const light = { cost: 'light' } as never;
  const heavy = {} as never;
  const large = { width: 4_000, height: 3_000 };
  const small = { width: 400, height: 300 };

  it.each<[CarryMode, object, object, boolean]>([
    ['none', light, small, false],
    ['light', light, large, true],
    ['light', heavy, small, true],
    ['light', heavy, large, false],
    ['all', heavy, large, true],
    ['all', { cost: 'light', ownWorkers: true }, small, false],
  ])('%s, with %o over %o: %s', (mode, next, size, expected) => {
    expect(isWorthCarrying(mode, next as never, size as never)).toBe(expected);
  });
});

describe('a carried task', () => {
  it('stores its marker and its result, and nothing between its steps', async () => {
    await using site = await openStepSite();
    const results = await runAll(site, stepJob({ steps: [FLIP, GREY, SHARP] }, { carry: 'all' }));

    expect(kinds(results)).toEqual(['carried', 'carried', 'completed']);
    const keys = await Array.fromAsync(site.storage.list('.darkroom'), ({ key }) => key);
    expect(keys.filter((key) => !key.includes('/ended/'))).toEqual([]);
    expect(results[2]).toMatchObject({
      marker: { from_step: 0, data: { steps: [{ filter: 'sharpen', carried: true }] } },
    });
  });

  it('has the same bytes as one that hops, whatever its steps', { timeout: 120_000 }, async () => {
    await using site = await openStepSite();
    const random = createRandom(20_261_126);
    const calls = CALLS.filter(({ params }) => !('image' in params) && params.enlarge !== true);
    for (let round = 0; round < 40; round++) {
      const steps = Array.from({ length: 2 + random.integer(0, 3) }, () => {
        const { filter, params } = random.pick(calls);
        return { filter, params };
      });
      const task = (id: string) => ({
        id,
        input: 'a.png',
        steps,
        output: { key: `out/${id}`, format: 'png' },
      });
      const carried = await runAll(site, stepJob(task(`c${round}`), { carry: 'all' }));
      const hopped = await runAll(site, stepJob(task(`h${round}`)));

      const told = JSON.stringify(steps);
      expect(carried.at(-1)!.kind, told).toBe(hopped.at(-1)!.kind);
      if (hopped.at(-1)!.kind !== 'completed') continue;
      expect(kinds(carried).slice(0, -1), told).not.toContain('stepped');
      const [ours, theirs] = [
        await site.storage.read(`out/c${round}`),
        await site.storage.read(`out/h${round}`),
      ];
      expect(ours.equals(theirs), told).toBe(true);
    }
  });

  it('that is left after a step goes on from the storage', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP, GREY] }, { carry: 'all' });
    expect(await site.run(job)).toMatchObject({ kind: 'carried' });
    expect(await leaveStep(job, site.resources, NEVER)).toMatchObject({ kind: 'stepped', repeated: false });

    expect(await site.run({ ...job, step: 1, fromStep: 1 })).toMatchObject({ kind: 'completed' });
    expect(await sharp(await site.storage.read('out/x.png')).metadata()).toMatchObject({ channels: 1 });
  });

  it('whose process is gone is tried again', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP, GREY] }, { carry: 'all' });
    await site.run(job);
    site.resources.waiting = undefined;

    const lost = { kind: 'failed', consequence: 'retry', failureType: 'child-lost' };
    expect(await site.run({ ...job, step: 1, fromStep: 0 })).toMatchObject(lost);
    expect(await leaveStep(job, site.resources, NEVER)).toMatchObject(lost);
  });

  it('takes no image that another task has left', async () => {
    await using site = await openStepSite();
    await site.run(stepJob({ id: 'other', steps: [FLIP, GREY] }, { carry: 'all' }));

    const mine = stepJob({ id: 'mine', steps: [FLIP, GREY] }, { step: 1, fromStep: 0 });
    expect(await site.run(mine)).toMatchObject({ kind: 'failed', failureType: 'child-lost' });
  });

  it('whose worker died between marker and result is carried to its end by the repeat alone', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP, GREY] }, { carry: 'all' });
    await runAll(site, job);
    const result = await site.storage.read('out/x.png');
    await site.storage.remove('out/x.png');

    const another = { ...job, step: 1, fromStep: 1, isRepeat: true };
    expect(await site.run(another)).toMatchObject({ consequence: 'retry', failureType: 'storage' });
    const repeat = { ...job, isRepeat: true, carry: 'none' as const };
    expect(await site.run(repeat)).toMatchObject({ kind: 'carried', mustFinish: true });
    expect(await site.run({ ...repeat, step: 1 })).toMatchObject({ kind: 'completed' });
    expect((await site.storage.read('out/x.png')).equals(result)).toBe(true);
  });

  it('whose repeat had hopped before the first try promised is ended by that hop', async () => {
    await using site = await openStepSite();
    const job = stepJob({ steps: [FLIP, GREY] }, { carry: 'all' });
    expect(await site.run({ ...job, isRepeat: true, carry: 'none' })).toMatchObject({ kind: 'stepped' });
    await runAll(site, job);
    await site.storage.remove('out/x.png');

    const hop = { ...job, step: 1, fromStep: 1, hasNotPromised: true, mayHavePromised: true };
    expect(await site.run(hop)).toMatchObject({ kind: 'completed' });
    expect(await site.storage.stat('out/x.png')).toBeDefined();
  });
});
