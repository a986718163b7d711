import { execFile } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { GenericContainer, getContainerRuntimeClient, Wait } from 'testcontainers';
import { beforeAll, describe, expect, it } from 'vitest';
import { dockerEngine } from '../../runtime/cli/local-broker/start-rabbitmq.ts';
import { type Installation, startInstallation } from '../support/installation.ts';
import { until } from '../support/until.ts';
import { words } from '../support/words.ts';

const BASE_IMAGE = 'node:24-trixie-slim';
const IMAGE = 'darkroom:test';
const BUILD_LIMIT_MS = 300_000;
const TASK_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;
/** The image is measured at 158 MB, node itself being 109 MB of it; more than this is an accident. */
const SIZE_LIMIT_BYTES = 200e6;
const LOCKED_DOWN = words('--read-only --cap-drop ALL --security-opt no-new-privileges --user 1000');
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const buildable = process.platform === 'linux' && (await hasBaseImage());
if (!buildable)
  console.warn(`The container image is NOT tested: that needs Linux, a Docker engine and ${BASE_IMAGE}.`);

describe.skipIf(!buildable)('the container image', () => {
  beforeAll(() => docker('build', '--quiet', '--tag', IMAGE, ROOT), BUILD_LIMIT_MS);

  it('is small, and starts as a user without rights', async () => {
    const [image] = JSON.parse(await docker('image', 'inspect', IMAGE));

    expect(image.Size).toBeLessThan(SIZE_LIMIT_BYTES);
    expect(image.Config.User).toBe('1000:1000');
  });

  it('runs commands with a read-only root and no capabilities', async () => {
    const output = await docker('run', '--rm', ...LOCKED_DOWN, IMAGE, 'functions', 'blur');

    expect(output).toContain('radius');
  });

  it('gives the exit code of a mistake, and its message without a stack trace', async () => {
    const running = docker('run', '--rm', ...LOCKED_DOWN, IMAGE, 'functions', 'blurr');

    await expect(running).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/did you mean "blur"/),
    });
    await expect(running).rejects.toMatchObject({ stderr: expect.not.stringContaining('    at ') });
  });

  it.each([
    ['demo', /The demo needs the photos and the starters of a broker/],
    ['up', /AMQP_URL is not set, and this image starts no broker of its own/],
  ])('starts no broker, and %s says so', async (command, message) => {
    const running = docker('run', '--rm', ...LOCKED_DOWN, IMAGE, command);

    await expect(running).rejects.toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  });

  it('holds none of the starters of a development broker, nor testcontainers, nor a second Node', async () => {
    const program = `
      const { globSync } = await import('node:fs');
      console.log(JSON.stringify(globSync('{runtime/cli/*,node_modules/{testcontainers,dockerode,node-,darkroom-node}*}', { cwd: '/app' })));`;
    const options = ['--entrypoint', 'node', IMAGE, '--input-type=module', '--eval', program];

    const found: string[] = JSON.parse(await docker('run', '--rm', ...LOCKED_DOWN, ...options));

    expect(found).toContain('runtime/cli/main.ts');
    expect(
      found.filter((path) => /local-broker|testcontainers|dockerode|_modules.(darkroom-)?node/.test(path)),
    ).toEqual([]);
  });

  it('shows no process of its user the way to the broker, not even by its first process', async () => {
    const seen = await seenInside(`
      import { readdirSync, readFileSync } from 'node:fs';
      const read = (file) => { try { return readFileSync(file, 'latin1'); } catch { return undefined; } };
      const others = readdirSync('/proc').filter((pid) => Number(pid) && Number(pid) !== process.pid);
      const seen = others.map((pid) => ({ command: read('/proc/' + pid + '/cmdline')?.split('\\0'), environ: read('/proc/' + pid + '/environ') }));
      const child = seen.find(({ command }) => command?.some((word) => word.endsWith('child.ts')));
      // Only then has the worker had the time to hide what it was told.
      if (child) console.log(JSON.stringify({
        first: read('/proc/1/environ') ?? 'not readable',
        telling: seen.filter(({ environ, command }) => (environ + command).includes('cAnArY')),
        child: child.environ.includes('VIPS_CONCURRENCY=')
      }));`);

    expect(seen).toEqual({ first: 'not readable', telling: [], child: true });
  });

  it('has what binds a child to its worker', async () => {
    const program = `
      import { spawnSync } from 'node:child_process';
      import { parentBinding } from '/app/runtime/worker/parent-death.ts';
      const [bind, ...words] = parentBinding(process.env);
      console.log(bind, spawnSync(bind, [...words, process.execPath, '--eval', 'process.exit(7)']).status);`;
    const options = ['--entrypoint', 'node', IMAGE, '--input-type=module', '--eval', program];

    expect(await docker('run', '--rm', ...LOCKED_DOWN, ...options)).toBe('/usr/bin/setpriv 7');
  });

  it(
    'works on a photo by FUNCTION, to the bytes that the command line makes, and drains on SIGTERM',
    async () => {
      await using installation = await startInstallation();
      await installation.put('photo.png', await noise());
      await using worker = await startWorker(installation);
      const steps = [
        { filter: 'resize', params: { width: 80 } },
        { filter: 'blur', params: { radius: 2 } },
      ];
      const output = { key: 'out/made.png' };

      await installation.publish({ id: 'contained', input: 'photo.png', steps, output });
      const event = await installation.ended('contained');
      const photo = join(installation.folder, 'photo.png');
      const expected = join(installation.folder, 'expected.png');
      await installation.darkroom(
        ...['run', photo, '--step', 'resize:width=80', '--step', 'blur:radius=2', '--output', expected],
      );

      expect(event.key).toBe('task.completed');
      expect((await installation.read('out/made.png')).equals(await readFile(expected))).toBe(true);
      expect(await worker.stop()).toBe(0);
    },
    TASK_LIMIT_MS,
  );
});

/** As the filters' user sees it, in a container that runs a command of its own. */
async function seenInside(program: string): Promise<unknown> {
  const name = `darkroom-test-${process.pid}`;
  const settings = ['--env', 'AMQP_URL=amqp://user:cAnArY@127.0.0.1:1', '--env', 'STORAGE_URL=file:///data'];
  await docker(
    'run',
    '--detach',
    '--rm',
    '--name',
    name,
    ...LOCKED_DOWN,
    ...settings,
    IMAGE,
    'worker',
    'blur',
  );
  try {
    const inside = ['node', '--input-type=module', '--eval', program];
    return await until(
      async () => JSON.parse((await docker('exec', '--env', 'AMQP_URL=', name, ...inside)) || 'false'),
      'a worker with its child',
    );
  } finally {
    await docker('kill', name);
  }
}

async function hasBaseImage(): Promise<boolean> {
  const engine = await dockerEngine(BASE_IMAGE);
  if (engine !== 'needs-pull') return engine === 'ready';
  return docker('pull', '--quiet', BASE_IMAGE).then(
    () => true,
    () => false,
  );
}

function noise(): Promise<Buffer> {
  const options = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  return sharp({ create: { width: 160, height: 120, channels: 3, background: 'white', noise: options } })
    .png()
    .toBuffer();
}

/** A worker for two filters in a container on this machine's network, with the installation's folder as storage. */
async function startWorker({ folder, env }: Installation) {
  // The container's user is another than the one who runs the tests.
  await chmod(folder, 0o777);
  const { AMQP_URL = '', DARKROOM_PREFIX = '', RETRY_DELAYS = '' } = env;
  const started = await new ReadOnlyContainer(IMAGE)
    .withEnvironment({ AMQP_URL, DARKROOM_PREFIX, RETRY_DELAYS, HTTP_PORT: '0' })
    .withEnvironment({ STORAGE_URL: 'file:///data', FUNCTION: 'resize,blur' })
    .withBindMounts([{ source: folder, target: '/data' }])
    .withNetworkMode('host')
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withUser('1000')
    // Ryuk would be an image more to pull.
    .withAutoCleanup(false)
    .withWaitStrategy(Wait.forLogMessage(/"consuming"/))
    .start();
  const { container: containers } = await getContainerRuntimeClient();
  const container = containers.getById(started.getId());
  return {
    /** The exit code after SIGTERM. */
    async stop(): Promise<number> {
      await containers.stop(container, { timeout: STOP_LIMIT_MS });
      return (await container.inspect()).State.ExitCode;
    },
    [Symbol.asyncDispose]: () => container.remove({ force: true }),
  };
}

class ReadOnlyContainer extends GenericContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    this.hostConfig.ReadonlyRootfs = true;
  }
}

async function docker(...parameters: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', parameters);
  return stdout.trim();
}
