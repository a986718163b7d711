/** An installation for tests in which the image does not matter. */
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { type Installation, startInstallation } from './installation.ts';

const FUNCTIONS_DIR = fileURLToPath(new URL('../fixtures/functions', import.meta.url));

/** With the fixtures' filters, and a small image `dot.png` in its storage. */
export async function startDotInstallation(env: NodeJS.ProcessEnv = {}): Promise<Installation> {
  const at = await startInstallation({ env: { FUNCTIONS_DIR, ...env } });
  await at.put('dot.png', await dot());
  return at;
}

export function dot(): Promise<Buffer> {
  const options = { width: 8, height: 8, channels: 3, background: 'red' } as const;
  return sharp({ create: options }).png().toBuffer();
}
