import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { AS_NODE_20 } from '../../support/old-node.ts';

const RUNTIME = fileURLToPath(new URL('../../../runtime', import.meta.url));
const NODE_MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const PINNED_NODE = `node-${process.platform}-${process.arch}`;

it('runs the command line on a new enough Node, with a compile cache for it and what it starts', async () => {
  await using project = await projectWith(
    'export const main = async () => { console.log(process.argv[2], process.env.NODE_COMPILE_CACHE); return 3; };',
  );

  const { code, stdout } = await project.run([], ['hello']);

  expect(code).toBe(3);
  expect(stdout).toBe(`hello ${join(project.folder, 'node_modules/.cache/darkroom')}\n`);
});

it('writes out all that a command printed before it ends, however slowly that is read', async () => {
  await using project = await projectWith(
    "export const main = async () => { process.stdout.write('x'.repeat(3_000_000)); return 3; };",
  );
  const child = project.start([], []);
  const exit = once(child, 'exit');

  await sleep(500);

  expect(await text(child.stdout)).toHaveLength(3_000_000);
  expect((await exit)[0]).toBe(3);
});

it('ends as the command did when nobody reads its output to the end', async () => {
  await using project = await projectWith(
    "export const main = async () => { process.stdout.write('x'.repeat(3_000_000)); return 3; };",
  );
  const child = project.start([], []);
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');

  child.stdout.destroy();

  expect(await text(child.stderr)).toBe('');
  expect((await exit)[0]).toBe(3);
});

it('hands over from an older Node to the pinned one, with arguments and exit code', async () => {
  await using project = await projectWith(
    'export const main = async () => { console.log(Number.parseInt(process.versions.node) >= 24, process.argv[2]); return 7; };',
  );

  const { code, stdout } = await project.run([AS_NODE_20], ['hello']);

  expect(stdout).toBe('true hello\n');
  expect(code).toBe(7);
});

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('passes %s on to the pinned Node', async (signal) => {
  await using project = await projectWith(`
    export const main = () => new Promise((resolve) => {
      const timer = setInterval(() => {}, 1000);
      process.on('${signal}', () => { clearInterval(timer); resolve(9); });
      console.log('ready');
    });`);
  const child = project.start([AS_NODE_20], []);
  await once(child.stdout, 'data');

  child.kill(signal);

  expect((await once(child, 'exit'))[0]).toBe(9);
});

it('dies of the signal that the pinned Node died of', async () => {
  await using project = await projectWith("export const main = () => process.kill(process.pid, 'SIGKILL');");

  const { signal } = await project.run([AS_NODE_20], []);

  expect(signal).toBe('SIGKILL');
});

it('says what to do on an older Node without the pinned one', async () => {
  await using project = await projectWith('export const main = async () => 0;', { dependencies: false });

  const { code, stderr } = await project.run([AS_NODE_20], []);

  expect(stderr).toMatch(/needs Node 24 or newer[\s\S]*npm ci/);
  expect(code).toBe(2);
});

it.each([
  ['on a new enough Node', []],
  ['on the pinned Node from an older one', [AS_NODE_20]],
])('runs a TypeScript file %s, with arguments and exit code', async (_where, nodeOptions) => {
  await using project = await projectWith('');
  const script = join(project.folder, 'script.ts');
  await writeFile(
    script,
    `const words: string[] = process.argv.slice(1);
    const handedDown = Object.keys(process.env).filter((name) => name.includes('LAUNCHER'));
    console.log(Number.parseInt(process.versions.node) >= 24, ...words, ...handedDown);
    process.exitCode = 5;`,
  );

  const { code, stdout } = await project.run(nodeOptions, [script, 'hello'], 'node/run.mjs');

  expect(stdout).toBe(`true ${script} hello\n`);
  expect(code).toBe(5);
});

/** A project of the launcher alone, with a command line of the test's own. */
async function projectWith(main: string, { dependencies = true } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-launcher-'));
  await mkdir(join(folder, 'runtime/cli'), { recursive: true });
  await mkdir(join(folder, 'node_modules'));
  for (const part of ['cli/darkroom.mjs', 'cli/node', 'worker/parent-death.ts'])
    await cp(join(RUNTIME, part), join(folder, 'runtime', part), { recursive: true });
  await writeFile(join(folder, 'runtime/cli/main.ts'), main);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  if (dependencies) await symlink(join(NODE_MODULES, PINNED_NODE), join(folder, 'node_modules', PINNED_NODE));

  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const start = (nodeOptions: string[], parameters: string[], entry = 'darkroom.mjs') =>
    spawn(process.execPath, [...nodeOptions, join(folder, 'runtime/cli', entry), ...parameters], { env });
  return {
    folder,
    start,
    async run(nodeOptions: string[], parameters: string[], entry?: string) {
      const child = start(nodeOptions, parameters, entry);
      const exited = once(child, 'exit');
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const [code, signal] = await exited;
      return { code, signal, stdout, stderr };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
