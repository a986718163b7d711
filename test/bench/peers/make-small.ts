/** What the peers do with a photo: what Darkroom's `resize` does with it, by the same library, and nothing else. */
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import sharp from 'sharp';

export const WIDTH = 720;

sharp.cache(false);
// One thread an image, as many images at once as there are cores: that is faster than the other way round.
sharp.concurrency(1);

/** The result is written as a program would that does not mind losing it. */
export async function makeSmall(source: string, target: string): Promise<void> {
  await writeFile(target, await smallOf(source));
}

/** The same, but once it has resolved the result survives a crash of the machine, and no half of it is ever seen. */
export async function makeSmallSafely(source: string, target: string): Promise<void> {
  const bytes = await smallOf(source);
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  const file = await open(temporary, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, target);
  const folder = await open(dirname(target));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function smallOf(source: string): Promise<Buffer> {
  return await sharp(await readFile(source))
    .autoOrient()
    .resize({ width: WIDTH })
    // As Darkroom encodes.
    .jpeg({ quality: 80, optimiseCoding: false })
    .toBuffer();
}
