/** A worker with several slots: they work at once, and what happens in one leaves the others alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ManagementClient } from '../../../runtime/cli/management.ts';
import { startDotInstallation } from '../../support/dot-installation.ts';
import type { Installation } from '../../support/installation.ts';
import { until } from '../../support/until.ts';
import type { WorkerProcess } from '../../support/worker-process.ts';

const SLOTS = 3;
const OTHERS = ['left', 'right'];
const OTHERS_MS = 2_500;

const start = (env: NodeJS.ProcessEnv = {}) => startDotInstallation({ RETRY_DELAYS: '100ms', ...env });

/** A worker all of whose slots consume. */
async function workerWith(at: Installation, filter: string, slots = SLOTS): Promise<WorkerProcess> {
  const worker = await at.worker(filter, { SLOTS: String(slots) });
  const line = `consuming ${at.names.queue(filter)}`;
  await until(() => worker.logs.filter(({ msg }) => msg === line).length === slots, 'all slots');
  return worker;
}

async function begin(at: Installation, id: string, filter: string, params: object, more: object = {}) {
  await at.publish({ id, input: 'dot.png', steps: [{ filter, params }], ...more });
  const isStart = ({ key, subject }: { key: string; subject: string }) =>
    key === 'task.started' && subject === id;
  await until(() => at.events.some(isStart), `${id} to start`);
}

/** As RabbitMQ's management plugin comes to know them. */
function consumersOf(at: Installation, filter: string, count: number) {
  const management = new ManagementClient(at.config.management);
  return until(async () => {
    const consumers = (await management.consumers()).filter(({ queue }) => queue === at.names.queue(filter));
    const isWhole = consumers.length === count && consumers.every(({ connection }) => connection !== '');
    return isWhole ? consumers : undefined;
  }, `${count} consumers`);
}

/** Tasks in all slots but one. */
const occupyOthers = (at: Installation, filter: string) =>
  Promise.all(OTHERS.map((id) => begin(at, id, filter, { ms: OTHERS_MS })));

const isEnd = ({ key }: { key: string }) => ['task.completed', 'task.failed'].includes(key);

const outcomeOf = async (at: Installation, id: string) => (await at.ended(id)).data;

async function expectOthersUntouched(at: Installation): Promise<void> {
  for (const id of OTHERS)
    expect(await outcomeOf(at, id)).toMatchObject({ outcome: 'completed', attempts: 1 });
  expect(
    at.events.filter(({ key, subject }) => key === 'task.started' && OTHERS.includes(subject)),
  ).toHaveLength(OTHERS.length);
}

describe('a worker with several slots', () => {
  it('works on as many tasks at once: a consumer with prefetch 1 and a process for each', async () => {
    await using at = await start();
    const worker = await workerWith(at, 'sleep');

    await Promise.all(['a', 'b', 'c'].map((id) => begin(at, id, 'sleep', { ms: 1_500 })));

    expect(await worker.childPids()).toHaveLength(SLOTS);
    expect(await worker.metric('darkroom_tasks_in_flight', { filter: 'sleep' })).toBe(SLOTS);
    const consumers = await consumersOf(at, 'sleep', SLOTS);
    expect(consumers.map(({ prefetch }) => prefetch)).toEqual([1, 1, 1]);
    expect(new Set(consumers.map(({ connection }) => connection)).size).toBe(1);
    for (const id of ['a', 'b', 'c'])
      expect(await outcomeOf(at, id)).toMatchObject({ outcome: 'completed', attempts: 1 });
    const ends = worker.logs.filter(({ msg }) => msg === 'task ended');
    expect(ends.map(({ slot }) => slot).sort()).toEqual([1, 2, 3]);
  });

  it('counts a filter once on its metrics, and says which slot is not well', async () => {
    await using at = await start();
    const worker = await workerWith(at, 'sleep');

    const { body } = await worker.get('/metrics');
    await at.broker.withChannel((channel) => channel.deleteQueue(at.names.queue('sleep')));
    const unready = await until(async () => {
      const answer = await worker.get('/readyz');
      return answer.status === 503 ? answer : undefined;
    }, 'readiness to fall');

    const gauges = body.split('\n').filter((line) => /^darkroom_(consuming|slots|waiting)\{/.test(line));
    expect(gauges).toEqual([
      'darkroom_consuming{filter="sleep"} 1',
      `darkroom_slots{filter="sleep"} ${SLOTS}`,
      'darkroom_waiting{filter="sleep"} 0',
    ]);
    expect(unready.body).toMatch(/not consuming the queue of sleep \(slot 1\)/);
    expect(await worker.metric('darkroom_consuming')).toBe(0);
  });

  it('consumes with the first before the children of the others are started', async () => {
    await using at = await start();
    const worker = await at.worker('sleep', { SLOTS: '4' });

    expect((await worker.childPids()).length).toBeLessThan(4);
    await until(async () => (await worker.childPids()).length === 4, 'the other children');
  });

  it('does the first task before it opens the others', async () => {
    await using at = await start();
    await at.publish({ id: 'first', input: 'dot.png', steps: [{ filter: 'sleep', params: { ms: 100 } }] });
    const worker = await workerWith(at, 'sleep');

    const isOf = (line: string) => worker.logs.flatMap(({ msg }, index) => (msg === line ? [index] : []));
    const [done] = isOf('task ended');
    const [opened, second] = isOf(`consuming ${at.names.queue('sleep')}`);
    expect([opened, done, second]).toEqual([opened, done, second].toSorted((a, b) => a! - b!));
  });

  it('refuses to start where its slots do not fit into the memory, with the numbers to use', async () => {
    await using at = await start({ SLOTS: '64', CHILD_MAX_MEMORY: '1000GiB' });

    const { code, stderr } = await at.darkroom('worker', 'sleep');

    expect(code).toBe(2);
    expect(stderr).toMatch(/SLOTS \(64\).*CHILD_MAX_MEMORY: 1024000MiB.*set SLOTS to at most 1/);
  });
});

describe('what happens in one slot leaves the others alone:', () => {
  it('a deadline', async () => {
    await using at = await start();
    await workerWith(at, 'sleep');
    await occupyOthers(at, 'sleep');

    await begin(at, 'late', 'sleep', { ms: 20_000 }, { timeout: 0.3 });

    expect(await outcomeOf(at, 'late')).toMatchObject({ failure_type: 'timeout', attempts: 2 });
    await expectOthersUntouched(at);
  });

  it('too much memory', async () => {
    await using at = await start({ CHILD_MAX_MEMORY: '300MiB' });
    await workerWith(at, 'hoard');
    await occupyOthers(at, 'hoard');

    await begin(at, 'large', 'hoard', { use: 400, ms: 20_000 });

    expect(await outcomeOf(at, 'large')).toMatchObject({ failure_type: 'memory', attempts: 1 });
    await expectOthersUntouched(at);
  });

  it('the death of its process', async () => {
    await using at = await start();
    const worker = await workerWith(at, 'sleep');
    await begin(at, 'victim', 'sleep', { ms: OTHERS_MS });
    await occupyOthers(at, 'sleep');

    process.kill(await worker.childPid(), 'SIGKILL');

    const ends = await Promise.all(['victim', ...OTHERS].map((id) => outcomeOf(at, id)));
    expect(ends.map(({ outcome }) => outcome)).toEqual(['completed', 'completed', 'completed']);
    expect(ends.map(({ attempts }) => attempts).sort()).toEqual([1, 1, 2]);
    expect(await worker.metric('darkroom_child_restarts_total')).toBe(1);
  });

  it('a cancellation', async () => {
    await using at = await start();
    await workerWith(at, 'sleep');
    await occupyOthers(at, 'sleep');
    await begin(at, 'unwanted', 'sleep', { ms: 20_000 });

    expect(await at.darkroom('cancel', 'unwanted')).toMatchObject({ code: 0 });

    expect(await outcomeOf(at, 'unwanted')).toMatchObject({ outcome: 'cancelled' });
    await expectOthersUntouched(at);
  });

  it('a message that takes the whole worker down, which alone is set aside', async () => {
    await using at = await start({ CRASH_LIMIT: '2', SLOTS: '2' });
    const filters = ['sleep', 'crash'];
    let worker: WorkerProcess | undefined = await at.worker(filters);
    await occupyOthers(at, 'sleep');
    await at.publish({
      id: 'killer',
      input: 'dot.png',
      steps: [{ filter: 'crash', params: { worker: true } }],
    });

    const isOver = () =>
      ['killer', ...OTHERS].every((id) => at.events.some((event) => isEnd(event) && event.subject === id));
    let deaths = 0;
    for (; !isOver(); worker = await at.worker(filters).catch(() => undefined)) {
      const { process: one } = worker ?? { process: { signalCode: 'SIGKILL' } };
      await until(() => isOver() || one.signalCode !== null, 'an end', 60_000);
      if (one.signalCode !== null) deaths++;
    }

    expect(await outcomeOf(at, 'killer')).toMatchObject({ failure_type: 'poison' });
    for (const id of OTHERS) expect(await outcomeOf(at, id)).toMatchObject({ outcome: 'completed' });
    // Once among others, once alone.
    expect(deaths).toBe(2);
  });
});

describe('a worker with several slots that is told to stop', () => {
  it('finishes the task of each', async () => {
    await using at = await start();
    const worker = await workerWith(at, 'sleep');
    await Promise.all(['a', 'b', 'c'].map((id) => begin(at, id, 'sleep', { ms: 800 })));

    expect(await worker.stop()).toBe(0);

    for (const id of ['a', 'b', 'c'])
      expect(await outcomeOf(at, id)).toMatchObject({ outcome: 'completed', attempts: 1 });
    expect(await at.depth(at.names.queue('sleep'))).toBe(0);
  });

  it('gives the task of each back at a second signal, without counting a failure', async () => {
    await using at = await start({ CRASH_LIMIT: '1' });
    const worker = await workerWith(at, 'sleep');
    await Promise.all(['a', 'b', 'c'].map((id) => begin(at, id, 'sleep', { ms: 3_000 })));

    worker.signal('SIGTERM');
    await until(() => worker.logs.some(({ msg }) => msg === 'draining'), 'the drain to begin');
    await sleep(600); // Two signals within half a second are one Ctrl-C.
    expect(await worker.stop()).toBe(0);
    expect(await at.depth(at.names.queue('sleep'))).toBe(3);

    await workerWith(at, 'sleep');
    for (const id of ['a', 'b', 'c'])
      expect(await outcomeOf(at, id)).toMatchObject({ outcome: 'completed', attempts: 1 });
  });

  it('does so while its slots are still being opened', async () => {
    await using at = await start();
    const worker = await at.worker('sleep', { SLOTS: '8' });

    expect(await worker.stop()).toBe(0);
    expect(await worker.childPids()).toEqual([]);
  });
});
