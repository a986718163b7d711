import { platform } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runDarkroom } from '../../support/run-program.ts';

const PHOTOS = fileURLToPath(new URL('../../fixtures/photos', import.meta.url));
/** A file, where a folder is expected. */
const NO_FOLDER = fileURLToPath(new URL('../../../package.json', import.meta.url));
/** A folder that not even root can make: Linux says ENOENT of it, others that its parent is no folder. */
const UNMAKEABLE = platform() === 'linux' ? '/proc/no-such' : join(NO_FOLDER, 'no-such');

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
