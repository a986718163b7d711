/** What happens to a task when something breaks: processes, times, memory, the person who cancels. */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { runDarkroom } from '../../support/run-program.ts';
import { until } from '../../support/until.ts';

const FUNCTIONS_DIR = fileURLToPath(new URL('../../fixtures/functions', import.meta.url));

async function faulty(env: Record<string, string> = {}): Promise<Installation> {
  const at = await startInstallation({ env: { FUNCTIONS_DIR, ...env } });
  await at.put(
    'cat.png',
    await sharp({ create: { width: 40, height: 30, channels: 3, background: 'teal' } })
      .png()
      .toBuffer(),
  );
  return at;
}

const step = (filter: string, params: object = {}) => [{ filter, params }];

function started(at: Installation, id: string) {
  return until(
    () => at.events.find(({ key, subject }) => key === 'task.started' && subject === id),
    `${id} to start`,
  );
}

describe('when a process is killed during a task', () => {
  it('the parent: another worker completes it, and no file is half written', async () => {
    await using at = await faulty();
    const first = await at.worker('sleep');
    await at.publish({ id: 'orphan', input: 'cat.png', steps: step('sleep', { ms: 1_500 }) });
    await started(at, 'orphan');

    await first.kill();
    await at.worker('sleep');

    expect((await at.ended('orphan')).data).toMatchObject({ outcome: 'completed' });
    await expect(sharp(await at.read('out/orphan.png')).metadata()).resolves.toMatchObject({ width: 40 });
    expect((await at.files()).filter((file) => !/^(cat|out\/orphan)\.png$|\/ended\//.test(file))).toEqual([]);
  });

  it('the child: the same worker tries again with a new one', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');
    await at.publish({ id: 'again', input: 'cat.png', steps: step('sleep', { ms: 1_000 }) });
    await started(at, 'again');

    process.kill(await worker.childPid(), 'SIGKILL');

    const retry = await until(() => at.events.find(({ key }) => key === 'task.retrying'), 'the retry');
    expect(retry.data).toMatchObject({ failure_type: 'child-lost' });
    expect((await at.ended('again')).data).toMatchObject({ outcome: 'completed', attempts: 2 });
  });

  it('its child does not outlive a killed parent', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');
    const child = await worker.childPid();

    await worker.kill();

    await until(() => !isAlive(child), 'the child to end');
  });

  it('a message that takes down every worker is set aside, in words', async () => {
    await using at = await faulty({ CRASH_LIMIT: '2' });
    await at.publish({ id: 'killer', input: 'cat.png', steps: step('crash', { worker: true }) });

    for (let life = 0; life < 2; life++) {
      // It may die before it could say that it consumes.
      const worker = await at.worker('crash').catch(() => undefined);
      if (worker) await until(() => worker.process.signalCode !== null, 'its death');
    }
    await at.worker('crash');

    const letter = await at.deadLetter();
    expect(letter.properties.headers).toMatchObject({
      'darkroom-failure-type': 'poison',
      'darkroom-failure-reason': expect.stringContaining('2 times'),
    });
    expect((await at.ended('killer')).data).toMatchObject({ failure_type: 'poison' });
  });
});

describe('a task that cannot succeed', () => {
  it('is stopped at its deadline, tried again, and dead-lettered with the reason', async () => {
    await using at = await faulty({ TASK_TIMEOUT: '500ms' });
    await at.worker('hang');

    await at.publish({ id: 'endless', input: 'cat.png', steps: step('hang') });

    const ended = await at.ended('endless');
    expect(ended.data).toMatchObject({
      failure_type: 'timeout',
      attempts: 3,
      failure_reason: expect.stringMatching(/500 ms.*3 attempts/),
    });
    expect(await at.deadLetters()).toHaveLength(1);
  });

  it('may have a shorter deadline of its own', async () => {
    await using at = await faulty({ RETRY_DELAYS: '100ms' });
    await at.worker('sleep');

    await at.publish({ id: 'hasty', input: 'cat.png', steps: step('sleep', { ms: 20_000 }), timeout: 0.3 });

    expect((await at.ended('hasty')).data).toMatchObject({
      failure_type: 'timeout',
      failure_reason: expect.stringContaining('300 ms'),
    });
  });

  it('is stopped when it needs too much memory', async () => {
    await using at = await faulty({ CHILD_MAX_MEMORY: '300MiB', RETRY_DELAYS: '100ms' });
    await at.worker('balloon');

    await at.publish({ id: 'balloon', input: 'cat.png', steps: step('balloon') });

    expect((await at.ended('balloon')).data).toMatchObject({
      failure_type: 'memory',
      failure_reason: expect.stringContaining('300 MiB'),
    });
  });

  it('fails without giving away a secret that its error mentions', async () => {
    await using at = await faulty();
    const worker = await at.worker('throw');

    await at.publish({ id: 'leaky', input: 'cat.png', steps: step('throw') });

    const ended = await at.ended('leaky');
    expect(ended.data).toMatchObject({
      failure_type: 'filter-failed',
      failure_reason: expect.stringContaining('this filter is broken'),
    });
    const said = JSON.stringify([at.events, worker.logs, await at.deadLetters()]);
    expect(said).not.toContain('hunter2');
  });

  it('gives no part of a secret away, wherever it is cut', { timeout: 60_000 }, async () => {
    await using at = await faulty({ RETRY_DELAYS: '10ms' });
    const worker = await at.worker('leak');
    const secret = 'cAnArYqWeRtYuIoP';
    const told = `amqp://user:${secret}@broker/ GET /x?ticket=${secret} Authorization: Bearer ${secret}`;
    const lengths = [0, 60, 200, 250, 1_900, 1_950, 1_990, 3_990, 4_030, 4_080, 65_450, 65_500];
    for (const [index, length] of lengths.entries()) {
      const text = `${'why '.repeat(length / 4)}${told}`;
      const params = { base64: Buffer.from(text).toString('base64'), at: length + 15 + index };
      await at.publish({ id: `leak-${index}`, input: 'cat.png', steps: step('leak', params) });
    }
    for (const index of lengths.keys()) await at.ended(`leak-${index}`);
    await until(() => worker.logs.some(({ left_out: leftOut }) => Number(leftOut) > 0), 'the last lines');

    const letters = await at.deadLetters();
    const said = JSON.stringify([at.events, worker.logs, letters.map(({ properties }) => properties)]);
    expect(letters).toHaveLength(lengths.length);
    for (let part = 0; part + 8 <= secret.length; part++)
      expect(said).not.toContain(secret.slice(part, part + 8));
  });

  it('comes back from the dead letters by a replay, and completes', async () => {
    await using at = await faulty();
    const worker = await at.worker('crash');
    const fuse = `${at.folder}/fuse`;
    await writeFile(fuse, '');
    await at.publish({ id: 'lazarus', input: 'missing.png', steps: step('negate') });
    await worker.stop();
    await at.worker('negate');
    expect((await at.ended('lazarus')).data).toMatchObject({ outcome: 'failed' });
    await at.put('missing.png', await at.read('cat.png'));

    const dry = await at.darkroom('dead', 'replay', '--id', 'lazarus', '--dry-run', '--json');
    expect(await at.deadLetters()).toHaveLength(1);
    const replayed = await at.darkroom('dead', 'replay', '--id', 'lazarus', '--json');

    expect([dry.code, replayed.code]).toEqual([0, 0]);
    await until(() => at.events.some(({ key }) => key === 'task.completed'), 'the completion');
    expect(await at.deadLetters()).toEqual([]);
    expect(await at.files()).toContain('out/lazarus.png');
  });
});

describe('a worker that is told to stop', () => {
  it('finishes its task, acknowledges it, and exits 0', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');
    await at.publish({ id: 'last', input: 'cat.png', steps: step('sleep', { ms: 800 }) });
    await started(at, 'last');

    expect(await worker.stop()).toBe(0);

    expect((await at.ended('last')).data).toMatchObject({ outcome: 'completed', attempts: 1 });
    expect(await at.depth(`${at.prefix}.sleep`)).toBe(0);
  });

  it('gives its task back at a second signal, without counting a failure', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');
    await at.publish({ id: 'handed', input: 'cat.png', steps: step('sleep', { ms: 15_000 }) });
    await started(at, 'handed');

    worker.process.kill('SIGTERM');
    await until(() => worker.logs.some(({ msg }) => msg === 'draining'), 'the drain to begin');
    await sleep(600); // Two signals within half a second are one Ctrl-C.
    expect(await worker.stop()).toBe(0);

    const message = await at.broker.withChannel((channel) =>
      channel.get(`${at.prefix}.sleep`, { noAck: true }),
    );
    expect(message).toMatchObject({ fields: { redelivered: false } });
    expect(
      (message as { properties: { headers: Record<string, unknown> } }).properties.headers[
        'darkroom-attempt'
      ] ?? 0,
    ).toBe(0);
  });

  it('says so on its probes, and counts what it did', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');
    await at.publish({ id: 'seen', input: 'cat.png', steps: step('sleep', { ms: 1 }) });
    await at.ended('seen');
    const metrics = await until(
      async () => ((await worker.get('/metrics')).status === 200 ? worker.get('/metrics') : undefined),
      'the metrics',
    );

    expect(await worker.get('/livez')).toMatchObject({ status: 200 });
    expect(await worker.get('/readyz')).toMatchObject({ status: 200 });
    expect(metrics.body).toContain('darkroom_tasks_total{filter="sleep",outcome="completed"} 1');
    expect(metrics.body).toMatch(/darkroom_task_phase_seconds_count\{filter="sleep",phase="store"\} 1/);
    await at.publish({ id: 'slow', input: 'cat.png', steps: step('sleep', { ms: 700 }) });
    await started(at, 'slow');
    worker.process.kill('SIGTERM');
    await until(
      async () => (await worker.get('/readyz')).body.includes('draining'),
      'readiness to say draining',
    );
  });
});

describe('darkroom cancel', () => {
  it('stops a running task within moments', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');
    await at.publish({ id: 'unwanted', input: 'cat.png', steps: step('sleep', { ms: 25_000 }) });
    await started(at, 'unwanted');

    expect(await at.darkroom('cancel', 'unwanted')).toMatchObject({ code: 0 });

    expect((await at.ended('unwanted')).data).toMatchObject({
      outcome: 'cancelled',
      failure_type: 'cancelled',
    });
    await until(
      () => worker.logs.some(({ msg, outcome }) => msg === 'task ended' && outcome === 'cancelled'),
      'the worker to let go',
    );
    expect(await at.files()).not.toContain('out/unwanted.png');
  });

  it('drops a queued task before any work', async () => {
    await using at = await faulty();
    await at.publish({ id: 'queued', input: 'cat.png', steps: step('negate') });

    await at.darkroom('cancel', 'queued');
    await at.worker('negate');

    await until(async () => (await at.depth(`${at.prefix}.negate`)) === 0, 'an empty queue');
    await until(
      () => at.events.filter(({ key }) => key === 'task.failed').length >= 2,
      'the end told by the worker too',
    );
    expect(await at.files()).not.toContain('out/queued.png');
    expect(JSON.parse((await at.darkroom('status', 'queued', '--json')).stdout)).toMatchObject({
      state: 'cancelled',
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('the child', () => {
  it('knows nothing of the broker', async () => {
    await using at = await faulty();
    const worker = await at.worker('sleep');

    const environment = await readFile(`/proc/${await worker.childPid()}/environ`, 'utf8');

    expect(environment).not.toMatch(/amqp/i);
  });

  it('is replaced after its share of tasks', async () => {
    await using at = await faulty({ CHILD_MAX_TASKS: '2' });
    const worker = await at.worker('negate');
    const before = await worker.childPid();

    for (const id of ['one', 'two', 'three']) {
      await at.publish({ id, input: 'cat.png', steps: step('negate') });
      await at.ended(id);
    }

    expect(await worker.childPid()).not.toBe(before);
  });
});

describe('a worker that cannot work', () => {
  it.each([
    [
      'a storage of a kind it does not know',
      { STORAGE_URL: 'http://nowhere/' },
      'flip',
      /STORAGE_URL|storage/i,
    ],
    [
      'a filter whose file is broken',
      { FUNCTIONS_DIR: fileURLToPath(new URL('../../fixtures/broken-functions', import.meta.url)) },
      'broken',
      /broken\.ts/,
    ],
  ])('ends with exit code 2 and the reason: %s', async (_, env, filter, reason) => {
    await using at = await startInstallation();

    const { code, stderr } = await runDarkroom(['worker', filter], { ...at.env, ...env });

    expect(code).toBe(2);
    expect(stderr).toMatch(reason);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
