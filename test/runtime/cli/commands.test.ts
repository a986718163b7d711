/** The command line as its users meet it: real processes, their output, their exit codes. */
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { runDarkroom, startInstallation } from '../../support/installation.ts';
import { until } from '../../support/until.ts';

const PHOTOS = fileURLToPath(new URL('../../fixtures/photos', import.meta.url));
/** A file, where a folder is expected. */
const NO_FOLDER = fileURLToPath(new URL('../../../package.json', import.meta.url));
/** A folder that not even root can make: Linux says ENOENT of it, others that its parent is no folder. */
const UNMAKEABLE = platform() === 'linux' ? '/proc/no-such' : join(NO_FOLDER, 'no-such');
const COMMANDS = [
  'demo',
  'run',
  'publish',
  'functions',
  'status',
  'cancel',
  'dead',
  'queues',
  'worker',
  'up',
  'simulate',
  'recommend',
  'smoke',
  'sweep',
  'doctor',
];

const folder = () => mkdtemp(join(tmpdir(), 'darkroom-cli-'));

describe('every command', () => {
  it.each(COMMANDS)('%s has --help with an example', async (command) => {
    const { code, stdout } = await runDarkroom([command, '--help']);

    expect(code).toBe(0);
    expect(stdout).toMatch(/Usage: darkroom/);
    expect(stdout).toMatch(/Example:\n {2}\$ /);
  });

  it.each(COMMANDS)('%s answers an unknown option in one line, without a stack trace', async (command) => {
    const { code, stderr } = await runDarkroom([command, '--frobnicate']);

    expect(code).toBe(2);
    expect(stderr.trim().split('\n')[0]).toMatch(/^error: unknown option '--frobnicate'/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

describe('a mistake at the keyboard', () => {
  it.each([
    ['a misspelt command', ['pubish'], 2, /did you mean "publish"/],
    [
      'a misspelt filter',
      ['run', join(PHOTOS, 'cat.png'), '--step', 'blurr:radius=1'],
      2,
      /did you mean "blur"/,
    ],
    ['a misspelt parameter', ['run', join(PHOTOS, 'cat.png'), '--step', 'blur:radus=1'], 2, /radus.*radius/],
    ['a photo that is not there', ['run', 'no-such.jpg', '--step', 'blur:radius=1'], 2, /no-such\.jpg/],
    ['no step', ['run', join(PHOTOS, 'cat.png')], 2, /--step/],
    ['a step without a value', ['run', join(PHOTOS, 'cat.png'), '--step', 'blur:radius'], 2, /key=value/],
    [
      'an option without a value',
      ['run', join(PHOTOS, 'cat.png'), '--step', 'flip', '--option', 'effort'],
      2,
      /--option effort/,
    ],
    [
      'a folder under a file',
      ['run', join(PHOTOS, 'cat.png'), '--step', 'flip', '-o', `${NO_FOLDER}/x.png`],
      2,
      /-o .*package\.json: expected a folder/,
    ],
    [
      'a folder that the system cannot make',
      ['run', join(PHOTOS, 'cat.png'), '--step', 'flip', '-o', join(UNMAKEABLE, 'deeper', 'x.png')],
      2,
      /-o .*deeper: expected a folder/,
    ],
    [
      'a folder that the system puts no file in',
      ['run', join(PHOTOS, 'cat.png'), '--step', 'flip', '-o', join(UNMAKEABLE, '..', 'x.png')],
      2,
      /-o .*: expected a folder that this user may write to/,
    ],
    [
      'a folder that is a file',
      ['publish', join(PHOTOS, 'cat.png'), '--step', 'flip', '-o', NO_FOLDER],
      2,
      /-o .*package\.json: expected a folder/,
    ],
    [
      'a format that is not written',
      ['run', join(PHOTOS, 'cat.png'), '--step', 'flip', '-o', 'x.heic'],
      2,
      /x\.heic: no such format/,
    ],
    [
      'a priority past the last',
      ['publish', join(PHOTOS, 'cat.png'), '--step', 'flip', '--priority', '999'],
      2,
      /from 0 to 255/,
    ],
    [
      'a wait that is no number',
      ['publish', join(PHOTOS, 'cat.png'), '--step', 'flip', '--wait', 'soon'],
      2,
      /--wait: expected a number of seconds/,
    ],
    ['a demo of no rounds', ['demo', '--rounds', 'some'], 2, /--rounds.*whole number/],
    ['a rate of nothing', ['dead', 'replay', '--rate', '0'], 2, /at least 1/],
    ['an unknown filter to a worker', ['worker', 'resise'], 2, /did you mean "resize"/],
  ])('%s is answered in words', async (_, args, exitCode, words) => {
    const { code, stderr } = await runDarkroom(args, { ...process.env, HTTP_PORT: '0' });

    expect(stderr).toMatch(words);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(code).toBe(exitCode);
  });

  it('is JSON for programs', async () => {
    const { code, stdout } = await runDarkroom(['run', 'no-such.jpg', '--step', 'flip', '--json']);

    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({ error: expect.stringContaining('no-such.jpg') });
  });

  it('names the folder of filters that is not there', async () => {
    const { code, stderr } = await runDarkroom(['functions'], { ...process.env, FUNCTIONS_DIR: '/no/such' });

    expect(code).toBe(2);
    expect(stderr).toMatch(/FUNCTIONS_DIR: expected a folder of filters, and \/no\/such/);
  });

  it('shows a stack trace only when asked', async () => {
    const { stderr } = await runDarkroom(['run', 'no-such.jpg', '--step', 'flip'], {
      ...process.env,
      DEBUG: '1',
    });

    expect(stderr).toMatch(/\n\s+at /);
  });
});

describe('darkroom run', () => {
  it('takes the format from the output’s extension', async () => {
    const out = join(await folder(), 'small.webp');

    const { code } = await runDarkroom([
      'run',
      join(PHOTOS, 'cat.png'),
      '--step',
      'resize:width=100,height=80,fit=fill',
      '-o',
      out,
    ]);

    expect(code).toBe(0);
    expect(await sharp(await readFile(out)).metadata()).toMatchObject({
      format: 'webp',
      width: 100,
      height: 80,
    });
  });

  it('takes folders and globs, and goes on after a photo that fails', async () => {
    const [from, to] = [await folder(), await folder()];
    await writeFile(join(from, 'good.png'), await readFile(join(PHOTOS, 'cat.png')));
    await writeFile(join(from, 'bad.jpg'), 'no image at all');

    const { code, stdout } = await runDarkroom(['run', from, '--step', 'grayscale', '-o', to, '--json']);

    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject([
      { photo: expect.stringContaining('bad.jpg'), error: expect.any(String) },
      { format: 'png' },
    ]);
    expect(await readdir(to)).toEqual(['good.png']);
  });

  it('prints what a filter that only looks has found', async () => {
    const { stdout } = await runDarkroom([
      'run',
      join(PHOTOS, 'rocket.jpg'),
      '--step',
      'info',
      '-o',
      `${await folder()}/`,
    ]);

    expect(JSON.parse(stdout)).toMatchObject({ width: 640, height: 427, format: 'jpeg' });
  });
});

describe('darkroom publish', () => {
  it('uploads, publishes, waits, and fetches the results', async () => {
    await using at = await startInstallation();
    await at.worker(['resize', 'flip']);
    const to = await folder();

    const { code, stdout } = await at.darkroom(
      'publish',
      join(PHOTOS, 'cat.png'),
      join(PHOTOS, 'rocket.jpg'),
      '--step',
      'resize:width=60',
      '--step',
      'flip',
      '-f',
      'jpeg',
      '--wait',
      '60',
      '-o',
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
      '--id',
      'alone',
      '--step',
      'flip',
      '--wait',
      '4',
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
      '--id',
      'bad',
      '--step',
      'flip',
      '--wait',
      '60',
      '--json',
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

describe('darkroom queues, dead and doctor', () => {
  it('list and purge what waits, asking first', async () => {
    await using at = await startInstallation();
    await at.publish({ id: 'waits', input: 'a.jpg', steps: [{ filter: 'flip' }] });

    const listed = JSON.parse((await at.darkroom('queues', 'list', '--json')).stdout) as {
      queue: string;
      messages: number;
    }[];
    const refused = await at.darkroom('queues', 'purge', 'flip');
    const purged = await at.darkroom('queues', 'purge', 'flip', '--yes', '--json');

    expect(listed.find(({ queue }) => queue.endsWith('.flip'))).toMatchObject({ messages: 1, consumers: 0 });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(JSON.parse(purged.stdout)).toEqual([{ queue: `${at.prefix}.flip`, messages: 1 }]);
  });

  it('show, export and purge dead letters', async () => {
    await using at = await startInstallation();
    await at.worker('flip');
    for (const id of ['one', 'two'])
      await at.publish({ id, input: '../escape.jpg', steps: [{ filter: 'flip' }] });
    await at.ended('one');
    await at.ended('two');
    const file = join(await folder(), 'letters.jsonl');

    const shown = await at.darkroom('dead', 'show', 'one', '--json');
    const exported = await at.darkroom('dead', 'export', file, '--filter', 'flip');
    const purged = await at.darkroom('dead', 'purge', '--id', 'one', '--yes', '--json');
    const left = await at.darkroom('dead', 'list', '--json');

    expect(JSON.parse(shown.stdout)).toMatchObject({
      id: 'one',
      filter: 'flip',
      failure_type: 'input-forbidden',
    });
    expect(exported.code).toBe(0);
    expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(2);
    expect(JSON.parse(purged.stdout).purged).toHaveLength(1);
    expect(JSON.parse(left.stdout)).toMatchObject([{ id: 'two' }]);
  });

  it('find nothing wrong where nothing is, and say how to fix what is', async () => {
    await using at = await startInstallation();

    const well = await at.darkroom('doctor', '--json');
    const ill = await runDarkroom(['doctor', '--json'], {
      ...at.env,
      AMQP_URL: 'amqp://guest:wrong@127.0.0.1:1',
      STORAGE_URL: 'ftp://nowhere',
    });

    expect(
      JSON.parse(well.stdout).filter(({ verdict }: { verdict: string }) => verdict === 'failed'),
    ).toEqual([]);
    expect(well.code).toBe(0);
    expect(ill.code).toBe(1);
    expect(JSON.parse(ill.stdout)).toContainEqual(
      expect.objectContaining({
        name: 'broker',
        verdict: 'failed',
        fix: expect.stringContaining('AMQP_URL'),
      }),
    );
    expect(ill.stdout).not.toContain('wrong@');
  });

  it('send one image end to end', async () => {
    await using at = await startInstallation();
    await at.worker('resize');

    const { code, stdout } = await at.darkroom('smoke', '--wait', '60', '--json');

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, width: 16, height: 16 });
  });
});
