import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { startInstallation } from '../../support/installation.ts';
import { until } from '../../support/until.ts';
import { words } from '../../support/words.ts';

const PHOTOS = fileURLToPath(new URL('../../fixtures/photos', import.meta.url));

const folder = () => mkdtemp(join(tmpdir(), 'darkroom-cli-'));

describe('darkroom publish', () => {
  it('uploads, publishes, waits, and fetches the results', async () => {
    await using at = await startInstallation();
    await at.worker(['resize', 'flip']);
    const to = await folder();

    const { code, stdout } = await at.darkroom(
      'publish',
      join(PHOTOS, 'cat.png'),
      join(PHOTOS, 'rocket.jpg'),
      ...words('--step resize:width=60 --step flip -f jpeg --wait 60 -o'),
      to,
      '--json',
    );

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([{ outcome: 'completed' }, { outcome: 'completed' }]);
    expect((await readdir(to)).sort()).toEqual(['cat.jpg', 'rocket.jpg']);
  });

  it('says that an id is taken, and never passes the other task’s result for its own', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    const publish = (photo: string, to: string) =>
      at.darkroom('publish', join(PHOTOS, photo), '--step', 'flip', '--id', 'taken', '-o', to);
    await publish('cat.png', await folder());
    const to = await folder();

    const { code, stdout } = await publish('rocket.jpg', to);

    expect(code).toBe(1);
    expect(stdout).toMatch(/belongs to another task/);
    expect(await readdir(to)).toEqual([]);
  });

  it.each([
    ['a key outside the storage', ['--key', '../x'], /output\.key/],
    ['a key of the runtime', ['--key', '.darkroom/x'], /reserved/],
    ['an empty id', ['--id', ''], /expected an id/],
    ['an id too long for AMQP', ['--id', '日'.repeat(70)], /at most 200 bytes/],
  ])('publishes nothing with %s', async (_, args, words) => {
    await using at = await startInstallation();

    const { code, stderr } = await at.darkroom('publish', join(PHOTOS, 'cat.png'), '--step', 'flip', ...args);

    expect(stderr).toMatch(words);
    expect(code).toBe(2);
    expect(await at.depth(`${at.prefix}.flip`)).toBe(0);
    expect(await at.files()).toEqual([]);
  });

  it('says when no worker is there, and status tells that from a failure', async () => {
    await using at = await startInstallation();

    const waited = await at.darkroom(
      'publish',
      join(PHOTOS, 'cat.png'),
      ...words('--id alone --step flip --wait 4'),
    );
    const status = await at.darkroom('status', 'alone', '--json');

    expect(waited.code).toBe(2);
    expect(waited.stderr).toMatch(/no worker consumes/);
    expect(JSON.parse(status.stdout)).toMatchObject({
      state: 'waiting',
      consumers: 0,
      messages: 1,
      explanation: expect.stringContaining('no worker available'),
    });
  });

  it('exits 1 when a task fails, with the reason', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    const bad = join(await folder(), 'bad.jpg');
    await writeFile(bad, 'no image at all');

    const { code, stdout } = await at.darkroom(
      'publish',
      bad,
      ...words('--id bad --step flip --wait 60 --json'),
    );
    const status = await at.darkroom('status', 'bad', '--json');

    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([{ outcome: 'failed', data: { failure_type: 'not-an-image' } }]);
    expect(JSON.parse(status.stdout)).toMatchObject({
      state: 'failed',
      failure_type: 'not-an-image',
      failure_reason: expect.any(String),
    });
  });
});

describe('darkroom cancel', () => {
  it('says of an id that nothing is known of what it could do, and holds when the task comes', async () => {
    await using at = await startInstallation();

    const cancelled = await at.darkroom('cancel', 'yet-to-come');
    await at.publish({ id: 'yet-to-come', input: 'a.jpg', steps: [{ filter: 'flip' }] });
    await at.worker('flip');

    expect(cancelled).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^The cancellation of yet-to-come is recorded, but no such task is known/,
      ),
    });
    await until(async () => (await at.depth(`${at.prefix}.flip`)) === 0, 'the task to be taken');
    await until(() => at.events.filter(({ key }) => key === 'task.failed').length >= 2, 'its end');
    expect(at.events.at(-1)?.data).toMatchObject({ failure_type: 'cancelled' });
  });

  it('tells in JSON whether the task is known, and whether it had ended before', async () => {
    await using at = await startInstallation();
    const publish = ['publish', join(PHOTOS, 'cat.png'), '--id', 'known', '--step', 'flip'];
    await at.darkroom(...publish);

    const known = await at.darkroom('cancel', 'known', '--json');
    const again = await at.darkroom('cancel', 'known', '--json');
    const unknown = await at.darkroom('cancel', 'unheard-of', '--json');

    expect(JSON.parse(known.stdout)).toMatchObject({ id: 'known', cancelled: true, known: true });
    expect(JSON.parse(again.stdout)).toMatchObject({ cancelled: false, outcome: 'cancelled' });
    expect(JSON.parse(unknown.stdout)).toMatchObject({ cancelled: true, known: false });
    expect([known.code, again.code, unknown.code]).toEqual([0, 1, 0]);
  });
});
