/** A task's whole way through real queues, real workers and real storage. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { startInstallation } from '../../support/installation.ts';
import { until } from '../../support/until.ts';
import { photo, THREE_STEPS, withPhoto } from './with-photo.ts';

describe('a task', () => {
  it('travels through its steps, leaves its result and nothing else, and tells its story', async () => {
    await using at = await withPhoto();
    await at.worker(['resize', 'blur', 'brightness']);

    await at.publish({
      id: 'journey',
      input: 'photos/cat.jpg',
      steps: THREE_STEPS,
      output: { key: 'out/cat.webp', format: 'webp' },
    });

    const ended = await at.ended('journey');
    expect(ended.data).toMatchObject({
      outcome: 'completed',
      output: { key: 'out/cat.webp', format: 'webp', width: 64, height: 48 },
    });
    expect((ended.data.steps as { filter: string }[]).map(({ filter }) => filter)).toEqual([
      'resize',
      'blur',
      'brightness',
    ]);
    expect(await sharp(await at.read('out/cat.webp')).metadata()).toMatchObject({
      format: 'webp',
      width: 64,
      height: 48,
    });
    await until(
      async () => (await at.files()).every((file) => !file.includes('/tasks/')),
      'the intermediates to be removed',
    );
    const keys = at.events.map(({ key }) => key);
    expect(keys.filter((key) => key === 'task.started')).toHaveLength(3);
    expect(keys.filter((key) => key === 'task.step-completed')).toHaveLength(2);
    expect(keys.at(-1)).toBe('task.completed');
  });

  it('gives the same bytes as darkroom run', async () => {
    await using at = await withPhoto();
    await at.worker(['resize', 'blur', 'brightness']);
    const folder = await mkdtemp(join(tmpdir(), 'darkroom-run-'));
    const steps = ['resize:width=64,height=48', 'blur:radius=2', 'brightness:factor=1.2'].flatMap((step) => [
      '--step',
      step,
    ]);

    await at.publish({
      id: 'same',
      input: 'photos/cat.jpg',
      steps: THREE_STEPS,
      output: { key: 'out/same.webp', format: 'webp' },
    });
    const ran = await at.darkroom(
      'run',
      join(at.folder, 'photos/cat.jpg'),
      ...steps,
      '-o',
      join(folder, 'same.webp'),
    );
    await at.ended('same');

    expect(ran).toMatchObject({ code: 0 });
    expect((await at.read('out/same.webp')).equals(await readFile(join(folder, 'same.webp')))).toBe(true);
  });

  it('may be written short on its filter’s own queue', async () => {
    await using at = await withPhoto();
    await at.worker('blur');

    await at.publish(
      { input: 'photos/cat.jpg', params: { radius: 1 } },
      { filter: 'blur', properties: { messageId: 'short' } },
    );

    expect((await at.ended('short')).data).toMatchObject({
      outcome: 'completed',
      output: { key: 'out/short.jpg' },
    });
  });

  it('is forwarded, not failed, when it arrives at the wrong filter’s queue', async () => {
    await using at = await withPhoto();
    await at.worker(['blur', 'flip']);

    await at.publish(
      { id: 'astray', input: 'photos/cat.jpg', steps: [{ filter: 'flip' }] },
      { filter: 'blur' },
    );

    expect((await at.ended('astray')).data).toMatchObject({ outcome: 'completed' });
    expect(await at.deadLetters()).toEqual([]);
  });

  it('gets its JSON when the last filter only looks', async () => {
    await using at = await withPhoto();
    await at.worker('info');

    await at.publish({ id: 'look', input: 'photos/cat.jpg', steps: [{ filter: 'info' }] });

    const ended = await at.ended('look');
    expect(ended.data.output).toMatchObject({
      key: 'out/look.json',
      format: 'json',
      json: { width: 200, height: 150, format: 'jpeg' },
    });
  });

  it('carries traceparent, priority and unknown headers through every hop', async () => {
    await using at = await withPhoto({ env: { CARRY: 'none' } });
    await at.worker(['flip', 'grayscale']);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const properties = { priority: 7, headers: { traceparent, 'x-customer': 'acme' } };

    // No worker for the second step: its message can be looked at.
    await at.publish(
      {
        id: 'traced',
        input: 'photos/cat.jpg',
        steps: [{ filter: 'flip' }, { filter: 'sharpen', params: { factor: 2 } }],
      },
      { properties },
    );

    await until(async () => (await at.depth(`${at.prefix}.sharpen`)) === 1, 'the second hop');
    const message = await at.broker.withChannel((channel) =>
      channel.get(`${at.prefix}.sharpen`, { noAck: true }),
    );
    expect(message).toMatchObject({
      properties: { priority: 7, headers: { traceparent, 'x-customer': 'acme', 'darkroom-step': 1 } },
    });
    expect(at.events[0]).toMatchObject({ traceparent });
  });

  it('published three times under one id gives one result and one end', async () => {
    await using at = await withPhoto();
    await at.worker(['resize', 'blur', 'brightness']);
    const task = { id: 'thrice', input: 'photos/cat.jpg', steps: THREE_STEPS };
    await at.publish(task);
    await at.ended('thrice');
    await until(
      async () => (await at.files()).every((file) => !file.includes('/tasks/')),
      'the intermediates to be removed',
    );
    const [before, atFirst] = [await at.files(), await at.read('out/thrice.jpg')];

    await at.publish(task);
    await at.publish(task);

    await until(
      () => at.events.filter(({ key }) => key === 'task.completed').length === 3,
      'the end to be told again',
    );
    await until(async () => (await at.files()).length === before.length, 'nothing to be left of the repeats');
    expect(await at.files()).toEqual(before);
    expect((await at.read('out/thrice.jpg')).equals(atFirst)).toBe(true);
    expect(new Set(at.events.filter(({ key }) => key === 'task.completed').map(({ id }) => id)).size).toBe(1);
  });

  it('with the id of another task that has ended is refused, and the other is left alone', async () => {
    await using at = await withPhoto();
    await at.worker('flip');
    await at.publish({ id: 'mine', input: 'photos/cat.jpg', steps: [{ filter: 'flip' }] });
    await at.ended('mine');

    await at.publish({
      id: 'mine',
      input: 'photos/cat.jpg',
      steps: [{ filter: 'flip', params: { direction: 'both' } }],
    });

    const letter = await at.deadLetter();
    expect(letter.properties.headers).toMatchObject({ 'darkroom-failure-type': 'task-id-reused' });
    expect(at.events.filter(({ key }) => key === 'task.failed')).toEqual([]);
  });
});

describe('an input that comes late', () => {
  it('is waited for', async () => {
    await using at = await startInstallation({ env: { INPUT_GRACE: '30s' } });
    await at.worker('flip');
    await at.publish({ id: 'late', input: 'late.jpg', steps: [{ filter: 'flip' }] });
    await until(() => at.events.some(({ key }) => key === 'task.retrying'), 'the first retry');

    const temporary = await photo();
    await writeFile(join(at.folder, 'late.jpg'), temporary);

    expect((await at.ended('late')).data).toMatchObject({ outcome: 'completed' });
  });

  it('is given up after the grace, in words', async () => {
    await using at = await startInstallation();
    await at.worker('flip');

    await at.publish({ id: 'never', input: 'never.jpg', steps: [{ filter: 'flip' }] });

    expect((await at.ended('never')).data).toMatchObject({
      outcome: 'failed',
      failure_type: 'input-not-found',
      failure_reason: expect.stringContaining('never.jpg'),
    });
  });
});
