/** The README's ways to publish, as they stand there, each tried. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type Installation, startInstallation } from './support/installation.ts';
import { pikaPython } from './support/pika.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const run = promisify(execFile);

async function withCat(): Promise<Installation> {
  const at = await startInstallation();
  await at.put(
    'photos/cat.jpg',
    await sharp({ create: { width: 1_000, height: 600, channels: 3, background: 'plum' } })
      .jpeg()
      .toBuffer(),
  );
  return at;
}

/** The README's block in that language, aimed at the test's broker and prefix. */
function shown(language: string, at: Installation): string {
  const block = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1] ?? '';
  return block
    .replace('amqp://guest:guest@localhost', String(at.env.AMQP_URL))
    .replace(/(publish\(['"])darkroom/, `$1${at.prefix}`);
}

describe('a task published as the README shows', () => {
  it('from Node completes', async () => {
    await using at = await withCat();
    await at.worker(['resize', 'blur']);
    // Beside the project's modules, where a script of its own would be.
    const folder = await mkdtemp(fileURLToPath(new URL('../node_modules/.readme-', import.meta.url)));
    await writeFile(join(folder, 'publish.mjs'), shown('js', at));

    await run(process.execPath, [join(folder, 'publish.mjs')]);

    expect((await at.ended('cat-1')).data).toMatchObject({
      outcome: 'completed',
      output: { key: 'out/cat.webp', width: 800, height: 480 },
    });
    await rm(folder, { recursive: true });
  });

  it('from Python with pika, three steps, completes', async (context) => {
    const python = await pikaPython();
    if (python === undefined)
      return context.skip('needs a python3 that can import pika (Debian: apt-get install python3-pika)');
    await using at = await withCat();
    await at.worker(['resize', 'sharpen', 'brightness']);

    await run(python, ['-c', shown('python', at)]);

    expect((await at.ended('cat-2')).data).toMatchObject({
      outcome: 'completed',
      output: { key: 'out/cat-2.jpg', width: 800 },
    });
    expect(await sharp(await at.read('out/cat-2.jpg')).metadata()).toMatchObject({
      format: 'jpeg',
      width: 800,
    });
  });

  it('from the management page completes', async (context) => {
    const managementUrl = process.env.AMQP_MANAGEMENT_URL;
    if (managementUrl === undefined) return context.skip('needs AMQP_MANAGEMENT_URL beside AMQP_URL');
    await using at = await withCat();
    await at.worker('resize');
    const payload = /`(\{"id":"cat-3".*?\})`\./s.exec(readme)?.[1];
    const { username, password, origin } = new URL(managementUrl);

    // What the page itself sends.
    const answer = await fetch(`${origin}/api/exchanges/%2F/${at.prefix}/publish`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        properties: { content_type: 'application/json' },
        routing_key: 'resize',
        payload,
        payload_encoding: 'string',
      }),
    });

    expect(await answer.json()).toEqual({ routed: true });
    expect((await at.ended('cat-3')).data).toMatchObject({ outcome: 'completed' });
  });
});
