/** Small three-step tasks of a few distinct kinds, with the bytes that each must give. */
import sharp from 'sharp';
import type { AuditedInstallation } from './audited-installation.ts';
import { renderAll } from './expected.ts';
import type { Random } from './random.ts';

export interface TaskKind {
  input: string;
  steps: { filter: string; params: Record<string, unknown> }[];
  format: string;
  bytes: Buffer;
}

/** The filters of the tasks, one of each in every task. */
export const FILTERS = ['resize', 'brightness', 'flip'] as const;

const RESIZE = { filter: 'resize', params: { width: 12, height: 9 } };
const BRIGHTNESS = { filter: 'brightness', params: { factor: 1.3 } };
const FLIP = { filter: 'flip', params: { direction: 'horizontal' } };
const ORDERS = [
  [RESIZE, BRIGHTNESS, FLIP],
  [BRIGHTNESS, FLIP, RESIZE],
  [FLIP, RESIZE, BRIGHTNESS],
];
const INPUTS = 4;

/** Puts the inputs into the storage. @returns the kinds of task, each with its expected bytes */
export async function prepareTaskKinds(
  installation: Pick<AuditedInstallation, 'put'>,
  random: Random,
): Promise<TaskKind[]> {
  const kinds: TaskKind[] = [];
  for (let n = 0; n < INPUTS; n++) {
    const input = `inputs/${n}.png`;
    const photo = await noise(random, 20 + n, 15 + n);
    await installation.put(input, photo);
    for (const [index, steps] of ORDERS.entries()) {
      const format = index === 0 ? 'webp' : 'png';
      kinds.push({ input, steps, format, bytes: await renderAll(photo, { steps, output: { format } }) });
    }
  }
  return kinds;
}

/** So many tasks, of kinds chosen at random, named `<word>-0`, `<word>-1`, … */
export function makeTasks(word: string, count: number, kinds: TaskKind[], random: Random) {
  return Array.from({ length: count }, (_, n) => {
    const { input, steps, format, bytes } = random.pick(kinds);
    const id = `${word}-${n}`;
    const key = `out/${word}/${n % 50}/${n}.${format}`;
    return { id, bytes, key, task: { id, input, steps, output: { key, format } } };
  });
}

function noise(random: Random, width: number, height: number): Promise<Buffer> {
  const data = Buffer.from(Array.from({ length: width * height * 3 }, () => random.integer(0, 255)));
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
