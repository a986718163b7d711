/** Several photos at a time: as with one, but sooner. */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dot } from '../../../support/dot-installation.ts';
import { descendantPids, untilGone } from '../../../support/process-facts.ts';
import { LAUNCHER, runDarkroom } from '../../../support/run-program.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { until } from '../../../support/until.ts';

const PHOTOS = fileURLToPath(new URL('../../../fixtures/photos', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../../../fixtures/functions', import.meta.url));
const env = { ...process.env, FUNCTIONS_DIR: FIXTURES };

interface Line {
  photo: string;
  ms?: number;
  error?: string;
}

describe('darkroom run --jobs', () => {
  it('gives the same files, and says the same in the same order', { timeout: 60_000 }, async () => {
    await using folder = await temporaryFolder();
    const from = join(folder.path, 'from');
    await mkdir(from);
    const photo = await readFile(join(PHOTOS, 'dandelions.jpg'));
    for (let i = 0; i < 18; i++) await writeFile(join(from, `photo-${i}.jpg`), photo);
    await writeFile(join(from, 'photo-3.png'), await readFile(join(PHOTOS, 'cat.png')));
    await writeFile(join(from, 'photo-5.gif'), 'no image at all');
    await writeFile(join(from, 'photo-7.jpg'), photo.subarray(0, 500_000));
    const steps = ['--step', 'resize:width=160', '--step', 'sharpen:radius=2', '--format', 'png'];
    const run = async (jobs: number) => {
      const to = join(folder.path, `${jobs}-at-a-time`);
      const { code, stdout } = await runDarkroom([
        'run',
        from,
        ...steps,
        '-o',
        to,
        '--jobs',
        `${jobs}`,
        '--json',
      ]);
      const said = (JSON.parse(stdout.replaceAll(to, '')) as Line[]).map(({ ms: _, ...line }) => line);
      const files = (await readdir(to)).sort();
      return { code, said, files, bytes: await Promise.all(files.map((file) => readFile(join(to, file)))) };
    };

    const one = await run(1);
    expect(one.code).toBe(1);
    expect(one.said.filter(({ error }) => error !== undefined)).toHaveLength(2);
    expect(one.files).toContain('photo-3.png.png');
    expect(await run(3)).toEqual(one);
  });

  it('goes on after a photo that takes its process down', { timeout: 60_000 }, async () => {
    await using folder = await temporaryFolder();
    const from = await largeDots(folder.path, 8);
    const to = join(folder.path, 'to');
    const once = join(folder.path, 'once');
    await writeFile(once, '');
    const steps = ['--step', 'sleep:ms=50', '--step', `crash:whileFile=${once}`];

    const { code, stdout, stderr } = await runDarkroom(['run', from, ...steps, '-o', to, '--jobs', '2'], env);

    expect(code).toBe(1);
    expect(stdout).toContain('failed: The process that worked on it ended (SIGKILL).');
    expect(stdout).toContain('1 of 8 failed.');
    expect(stderr).not.toMatch(/\\n\\s+at /);
    expect(await readdir(to)).toHaveLength(7);
  });

  it('fails them all where each takes its process down', { timeout: 60_000 }, async () => {
    await using folder = await temporaryFolder();
    const from = await largeDots(folder.path, 4, 7_000_000);
    const to = join(folder.path, 'to');

    const { code, stdout } = await runDarkroom(
      ['run', from, '--step', 'crash', '-o', to, '--jobs', '2'],
      env,
    );

    expect(code).toBe(1);
    expect(stdout).toContain('4 of 4 failed.');
    expect(await readdir(to)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')(
    'leaves no process when it is killed',
    { timeout: 60_000 },
    async () => {
      await using folder = await temporaryFolder();
      const from = await largeDots(folder.path, 8);
      const args = ['run', from, '--step', 'hang', '-o', join(folder.path, 'to'), '--jobs', '2'];
      const program = spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: 'ignore' });
      const pid = program.pid!;
      await until(async () => (await descendantPids(pid)).length >= 2, 'its processes', 20_000);
      const pids = await descendantPids(pid);

      program.kill('SIGKILL');

      await untilGone([pid, ...pids], 1_500);
    },
  );

  it('expects a number of 1 or more', async () => {
    const { code, stderr } = await runDarkroom(['run', PHOTOS, '--step', 'info', '--jobs', '0']);

    expect(code).toBe(2);
    expect(stderr).toContain(
      "option '--jobs <number>' argument '0' is invalid. expected a whole number of 1 or more.",
    );
  });
});

/** Small images in files that are large enough to be given to processes at once. */
async function largeDots(folder: string, count: number, bytes = 4_000_000): Promise<string> {
  const photos = join(folder, 'photos');
  await mkdir(photos);
  const large = Buffer.concat([await dot(), Buffer.alloc(bytes)]);
  for (let photo = 0; photo < count; photo++) await writeFile(join(photos, `${photo}.png`), large);
  return photos;
}
