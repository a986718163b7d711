import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { runDarkroom } from '../../support/run-program.ts';

const PHOTOS = fileURLToPath(new URL('../../fixtures/photos', import.meta.url));

const folder = () => mkdtemp(join(tmpdir(), 'darkroom-cli-'));

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
