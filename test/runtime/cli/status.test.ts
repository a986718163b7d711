/** `darkroom status` and `cancel`: what they tell of tasks, replayed ones too. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeSubmissionRecord } from '../../../runtime/cli/submission-record.ts';
import { statusOf } from '../../../runtime/cli/task-status.ts';
import { openStorage } from '../../../runtime/storage/open.ts';
import { markerKey } from '../../../runtime/task/task-marker.ts';
import { type Installation, startInstallation } from '../../support/installation.ts';
import { markEnded, TASK } from '../../support/letters.ts';
import { until } from '../../support/until.ts';

const STEPS = TASK.steps.map(({ filter, params = {} }) => ({ filter, params }));

const storageOf = (at: Installation) => openStorage(at.env.STORAGE_URL);
const statusIn = (at: Installation, id = 'cat') => statusOf(id, at.config);

describe('the state of a task', () => {
  it('is waiting, queued or running, by its queue', async () => {
    await using at = await startInstallation({ env: { TASK_TIMEOUT: '60s' } });
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS);
    await at.publish(TASK, { filter: 'edges' });

    expect(await statusIn(at)).toMatchObject({ state: 'waiting', filter: 'flip', step: 0, generation: 0 });

    // A consumer that has one task in hand, and then one more before it.
    const held: unknown[] = [];
    const consumer = at.broker.consume(at.names.queue('flip'), (delivery) => held.push(delivery));
    await at.publish(TASK);
    await until(() => held.length === 1, 'the task in hand');
    expect(await statusIn(at)).toMatchObject({
      state: 'running',
      explanation: expect.stringMatching(/a worker has it/),
    });
    await at.publish(TASK);
    expect(
      await until(async () => {
        const status = await statusIn(at);
        return status.state === 'queued' && status;
      }, 'a queued task'),
    ).toMatchObject({ messages: 1, consumers: 1 });
    await consumer.close();
  });

  it('is refused when the queue of its next step is not there', async () => {
    await using at = await startInstallation();
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS);
    await at.broker.withChannel((channel) => channel.deleteQueue(at.names.queue('flip')));

    expect(await statusIn(at)).toMatchObject({
      state: 'refused',
      explanation: expect.stringMatching(/queues declare/),
    });
  });

  it('is retrying while the next try waits in the broker', async () => {
    await using at = await startInstallation({ env: { RETRY_DELAYS: '30s', INPUT_GRACE: '1h' } });
    await at.worker('flip');
    await at.publish({ ...TASK, input: 'late.png' });
    await until(() => at.events.some(({ key }) => key === 'task.retrying'), 'a retry');

    expect(await statusIn(at)).toMatchObject({
      state: 'retrying',
      attempt: 1,
      explanation: expect.stringMatching(/step 1 has failed 1 times; the next try comes within 30s/),
    });
  });

  it.each([
    ['a worker could not read', Buffer.from('{"id":"cat","input":'), 'flip'],
    ['no queue took', TASK, 'nowhere'],
  ])('is failed when its message, which %s, is in the dead letters', async (_, task, filter) => {
    await using at = await startInstallation();
    if (filter === 'flip') await at.worker('flip');
    await at.publish(task, { filter, properties: { messageId: 'cat' } });
    await at.deadLetter();

    const status = await statusIn(at);

    expect(status).toMatchObject({ state: 'failed', dead_letter: true, failure_reason: expect.any(String) });
  });

  it('is not made by a stranger’s letter while its message waits', async () => {
    await using at = await startInstallation();
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS);
    await at.publish(TASK);
    // Past our publisher, which would say who we are.
    await at.broker.withChannel(async (channel) => {
      channel.publish(at.names.exchange, 'nowhere', Buffer.from(JSON.stringify(TASK)));
    });
    await at.deadLetter();

    expect(await statusIn(at)).toMatchObject({ state: 'waiting' });
  });

  it('of a completed task tells whether its result is there', async () => {
    await using at = await startInstallation();
    const data = { output: { key: 'out/cat.png', format: 'png', bytes: 3, sha256: 'x' } };
    await markEnded(await storageOf(at), 0, { outcome: 'completed', data, time: new Date().toISOString() });
    const young = await statusIn(at);
    await rm(join(at.folder, markerKey('cat', 0)));
    await markEnded(await storageOf(at), 0, { outcome: 'completed', data });

    expect(young).toMatchObject({
      state: 'running',
      explanation: expect.stringMatching(/about to be stored/),
    });
    expect(await statusIn(at)).toMatchObject({ state: 'completed', result: 'missing' });
  });

  it('is unknown where nothing tells of it', async () => {
    await using at = await startInstallation();
    expect(await statusIn(at)).toMatchObject({ state: 'unknown' });
  });

  it('is told as far as the storage knows it when the broker does not answer', async () => {
    await using at = await startInstallation();
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS);
    const amqp = { ...at.config.amqp, url: 'amqp://guest:guest@127.0.0.1:1' };

    const status = await statusOf('cat', { ...at.config, amqp });

    expect(status).toMatchObject({
      state: 'queued',
      step: 0,
      not_looked_at: [expect.stringMatching(/No connection/)],
    });
  }, 30_000);
});

describe('a replayed task', () => {
  it('has the state of its replay, and tells how it failed before', async () => {
    await using at = await startInstallation();
    await markEnded(await storageOf(at), 0);
    expect(await statusIn(at)).toMatchObject({ state: 'failed', generation: 0 });
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS, 1);

    expect(await statusIn(at)).toMatchObject({
      state: 'waiting',
      generation: 1,
      explanation: expect.stringMatching(/replayed: this is generation 1 \(before, at .*: full\)/),
    });
    await markEnded(await storageOf(at), 1, { outcome: 'cancelled', fingerprint: '' });
    expect(await statusIn(at)).toMatchObject({ state: 'cancelled', generation: 1 });
  });

  it('is cancelled in its replay, and not in what has failed', async () => {
    await using at = await startInstallation();
    await markEnded(await storageOf(at), 0);

    const before = await at.darkroom('cancel', 'cat');
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS, 1);
    const cancelled = await at.darkroom('cancel', 'cat', '--json');
    const again = await at.darkroom('cancel', 'cat');

    expect(before).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/failed at .* no replay of it is under way/),
    });
    expect(cancelled.code).toBe(0);
    expect(JSON.parse(cancelled.stdout)).toMatchObject({
      cancelled: true,
      generation: 1,
      outcome: 'cancelled',
    });
    expect(again).toMatchObject({ code: 1, stdout: expect.stringMatching(/had ended before: cancelled/) });
    const told = await until(() => at.events.find(({ key }) => key === 'task.failed'), 'its final event');
    expect(told).toMatchObject({ id: 'cat:end:failed:g1', data: { outcome: 'cancelled' } });
  });

  it('that was cancelled is dropped by the worker, and stores nothing', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    await at.publish({ ...TASK, steps: [{ filter: 'flip' }] });
    await at.ended('cat');
    await at.put('cat.png', await readFile(new URL('../../fixtures/photos/cat.png', import.meta.url)));
    // The replay meets no worker until it is cancelled.
    await at.broker.withChannel((channel) =>
      channel.unbindQueue(at.names.queue('flip'), at.names.exchange, 'flip'),
    );
    await writeSubmissionRecord(await storageOf(at), 'cat', STEPS, 1);
    await at.darkroom('cancel', 'cat');
    const replayed = await at.darkroom('dead', 'replay', '--json');

    expect(replayed.code).toBe(0);
    await until(async () => (await at.depth(at.names.queue('flip'))) === 0, 'the replay to be taken');
    await until(() => at.events.filter(({ key }) => key === 'task.failed').length >= 3, 'its end');
    expect((await at.files()).filter((file) => file.startsWith('out/'))).toEqual([]);
    expect(await statusIn(at)).toMatchObject({ state: 'cancelled', generation: 1 });
  });
});
