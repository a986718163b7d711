/** Tasks whose steps one worker carries: what stops it between two of them, and what becomes of a step that fails. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { flatPng } from '../../support/pictures.ts';
import type { TaskEventMessage } from '../../support/task-events.ts';
import { until } from '../../support/until.ts';

const FUNCTIONS_DIR = fileURLToPath(new URL('../../fixtures/functions', import.meta.url));

async function withDot(env: Record<string, string> = {}): Promise<Installation> {
  const at = await startInstallation({ env: { FUNCTIONS_DIR, ...env } });
  await at.put('dot.png', await flatPng(8, 8));
  return at;
}

const nap = (ms: number) => ({ filter: 'sleep', params: { ms } });

/** `started 0`, `step-completed 0`, … */
function story({ events }: Installation, id: string): string[] {
  return events
    .filter(({ subject }) => subject === id)
    .map(({ key, data }) => `${key.slice('task.'.length)} ${data.step}`);
}

function stepsOf({ data }: TaskEventMessage): { filter: string; carried?: true }[] {
  return data.steps as { filter: string; carried?: true }[];
}

function begun(at: Installation, id: string, step: number): Promise<boolean> {
  return until(() => story(at, id).includes(`started ${step}`), `step ${step} of ${id}`);
}

describe('a carried task', () => {
  it('needs no worker of the filters after the first, and tells the same story', async () => {
    await using at = await withDot();
    const worker = await at.worker('sleep');
    await at.publish({
      id: 'light',
      input: 'dot.png',
      steps: [nap(1), { filter: 'negate' }, { filter: 'noop' }],
    });

    const ended = await at.ended('light');
    expect(stepsOf(ended)).toMatchObject([
      { filter: 'sleep', attempt: 0 },
      { filter: 'negate', attempt: 0, queue_ms: 0, carried: true },
      { filter: 'noop', attempt: 0, queue_ms: 0, carried: true },
    ]);
    await until(() => story(at, 'light').length === 6, 'the whole story');
    expect(story(at, 'light').toSorted()).toEqual([
      'completed 2',
      'started 0',
      'started 1',
      'started 2',
      'step-completed 0',
      'step-completed 1',
    ]);
    const carried = { filter: 'sleep', outcome: 'carried' };
    await until(async () => (await worker.metric('darkroom_tasks_total', carried)) === 1, 'its count');
    expect(await worker.metric('darkroom_tasks_total', { filter: 'sleep', outcome: 'completed' })).toBe(1);
    const { body } = await worker.get('/metrics');
    expect(body).toContain('darkroom_task_phase_seconds_count{filter="negate",phase="filter"} 1');
    expect(body).not.toContain('{filter="negate",phase="queue"}');
    expect((await at.files()).filter((file) => file.includes('/tasks/'))).toEqual([]);
  });

  it('hops with CARRY=none', async () => {
    await using at = await withDot({ CARRY: 'none' });
    await at.worker('sleep');
    await at.publish({ id: 'hop', input: 'dot.png', steps: [nap(1), { filter: 'negate' }] });

    await until(async () => (await at.depth(at.names.queue('negate'))) === 1, 'the hop');
    expect(story(at, 'hop')).not.toContain('started 1');
  });

  it('ends at the next step when its worker is told to stop, and another one goes on from there', async () => {
    await using at = await withDot();
    const first = await at.worker('sleep');
    await at.publish({ id: 'stop', input: 'dot.png', steps: [nap(900), nap(1), nap(2)] });
    await begun(at, 'stop', 0);
    expect(await first.stop()).toBe(0);
    expect(story(at, 'stop')).not.toContain('started 1');
    expect(await at.depth(at.names.queue('sleep'))).toBe(1);

    await at.worker('sleep');
    expect(stepsOf(await at.ended('stop')).map(({ carried }) => carried)).toEqual([
      undefined,
      undefined,
      true,
    ]);
  });

  it('hops when the time for one delivery is used up', async () => {
    await using at = await withDot({ TASK_TIMEOUT: '10s', CONSUMER_TIMEOUT: '30s' });
    await at.worker('sleep');
    await at.publish({ id: 'long', input: 'dot.png', steps: [nap(1), nap(5_100), nap(1)] });

    // Half of 30 s, less 10 s for the next step.
    expect(stepsOf(await at.ended('long')).map(({ carried }) => carried)).toEqual([
      undefined,
      true,
      undefined,
    ]);
  });

  it('ends where it is when it is cancelled', async () => {
    await using at = await withDot();
    await at.worker('sleep');
    await at.publish({ id: 'enough', input: 'dot.png', steps: Array.from({ length: 10 }, () => nap(600)) });
    await begun(at, 'enough', 1);
    expect(await at.darkroom('cancel', 'enough')).toMatchObject({ code: 0 });

    expect((await at.ended('enough')).data).toMatchObject({ failure_type: 'cancelled' });
    expect(story(at, 'enough')).not.toContain('started 6');
  });
});

describe('a carried step that fails', () => {
  it('for good is told as what it is, and a replay begins where the delivery did', async () => {
    await using at = await withDot();
    await at.worker('sleep');
    await at.publish({ id: 'bad', input: 'dot.png', steps: [nap(1), { filter: 'throw' }] });

    expect((await at.ended('bad')).data).toMatchObject({
      step: 1,
      filter: 'throw',
      failure_type: 'filter-failed',
    });
    expect((await at.deadLetter()).properties.headers).toMatchObject({
      'darkroom-filter': 'throw',
      'darkroom-step': 0,
    });
  });

  it('by taking its process down is tried again by workers of its own', async () => {
    await using at = await withDot();
    await at.worker('sleep');
    await at.publish({ id: 'boom', input: 'dot.png', steps: [nap(1), { filter: 'crash' }] });

    const retry = await until(() => at.events.find(({ key }) => key === 'task.retrying'), 'the retry');
    expect(retry.data).toMatchObject({ step: 1, filter: 'crash', failure_type: 'child-lost', attempt: 1 });
    await until(async () => (await at.depth(at.names.queue('crash'))) === 1, 'the hop');
    await at.worker('crash');
    expect((await at.ended('boom', 30_000)).data).toMatchObject({ step: 1, failure_type: 'child-lost' });
  });

  it('by its deadline likewise', async () => {
    await using at = await withDot();
    await at.worker('sleep');
    const steps = [nap(1), { filter: 'hang' }];
    await at.publish({ id: 'slow', input: 'dot.png', timeout: 0.5, steps });

    const retry = await until(() => at.events.find(({ key }) => key === 'task.retrying'), 'the retry');
    expect(retry.data).toMatchObject({ step: 1, failure_type: 'timeout' });
    await until(async () => (await at.depth(at.names.queue('hang'))) === 1, 'the hop');
  });
});
