import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { findBroker } from '../../../runtime/cli/broker.ts';
import { UserError } from '../../../runtime/errors.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const START_LIMIT_MS = 90_000;
/** As after `npm ci --omit=dev`. */
const WITHOUT_TESTCONTAINERS = `--import=data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve(specifier, context, next) {
      if (!specifier.includes('testcontainers')) return next(specifier, context);
      throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
    },
  });`)}`;
const PROCESS = fileURLToPath(new URL('./find-broker-process.ts', import.meta.url));

describe('AMQP_URL', () => {
  it('is used as it is, and stop leaves that broker alone', async () => {
    await using listener = await listen();
    const env = {
      AMQP_URL: `amqp://user:secret@127.0.0.1:${listener.port}/vhost`,
      AMQP_MANAGEMENT_URL: 'http://x:1',
    };
    const said: string[] = [];

    const broker = await findBroker({ env, allowInstall: false, onProgress: (text) => said.push(text) });
    await broker.stop();

    expect(broker).toMatchObject({ way: 'amqp-url', amqpUrl: env.AMQP_URL, managementUrl: 'http://x:1' });
    expect(await answers(listener.port)).toBe(true);
    expect(said.join()).toContain('AMQP_URL');
    expect(said.join()).not.toContain('secret');
  });

  it('that nobody answers is the user’s mistake, told without the password', async () => {
    const { port } = await closedPort();
    const finding = findBroker({
      env: { AMQP_URL: `amqp://user:secret@127.0.0.1:${port}` },
      allowInstall: false,
    });

    const error = await finding.catch((thrown) => thrown);

    expect(error).toBeInstanceOf(UserError);
    expect(error.message).toMatch(/no broker answers there \(.*ECONNREFUSED/);
    expect(error.message).not.toContain('secret');
  });

  it('that is no URL is the user’s mistake', async () => {
    const finding = findBroker({ env: { AMQP_URL: 'localhost' }, allowInstall: false });

    await expect(finding).rejects.toThrow(/AMQP_URL is not a URL such as amqp:/);
  });
});

describe('a broker that was started', () => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'is gone after its process ended by %s',
    async (signal) => {
      await using finder = findInProcess();
      const { amqpUrl } = await finder.answer;
      const port = Number(new URL(amqpUrl ?? '').port);
      expect(await answers(port)).toBe(true);

      finder.kill(signal);

      await vi.waitUntil(async () => !(await answers(port)), { timeout: 20_000 });
    },
    START_LIMIT_MS,
  );
});

describe('a broker that is being started', () => {
  it.each([
    ['SIGINT', 0],
    ['SIGKILL', 150],
    ['SIGINT', 400],
    ['SIGINT', 1_500],
  ] as const)(
    'leaves nothing when %s ends its process, and all that this one runs, %d ms after the start began',
    async (signal, ms) => {
      await using temporary = await temporaryFolder();
      await using finder = findInProcess({ TMPDIR: temporary.path });
      await vi.waitUntil(() => finder.started(temporary.path), { timeout: 20_000, interval: 5 });
      await sleep(ms);

      finder.killAll(signal);

      await vi.waitUntil(async () => (await readdir(temporary.path)).length === 0, { timeout: 30_000 });
      // An engine that was asked for a container may give it later.
      await sleep(2_000);
      await vi.waitUntil(async () => (await finder.containers()).length === 0, { timeout: 30_000 });
      expect(await readdir(temporary.path)).toEqual([]);
    },
    START_LIMIT_MS,
  );
});

describe('a Docker engine', { timeout: START_LIMIT_MS }, () => {
  const NEXT_WAY =
    /debian|No RabbitMQ was found[\s\S]*AMQP_URL[\s\S]*Docker[\s\S]*rabbitmq-server[\s\S]*root/;

  it('without the image, that cannot pull it, is passed over, which is said', async () => {
    await using engine = await brokenEngine({ hasImage: false });
    await using finder = findInProcess({ DOCKER_HOST: engine.host });

    const { way, error, progress } = await finder.answer;

    expect(progress.join('\n')).toMatch(/could not be pulled \(Error: no such host\); going on without it/);
    expect(way ?? error).toMatch(NEXT_WAY);
  });

  it('with the image is not asked to pull it', async () => {
    await using engine = await brokenEngine({ hasImage: true });
    await using finder = findInProcess({ DOCKER_HOST: engine.host });

    const { way, error, progress } = await finder.answer;

    expect(progress.join('\n')).toMatch(/starting RabbitMQ in a container[\s\S]*RabbitMQ did not start/);
    expect(engine.requests.filter((url) => url.includes('/images/create'))).toEqual([]);
    expect(engine.requests.some((url) => url.includes('/containers/create'))).toBe(true);
    expect(way ?? error).toMatch(NEXT_WAY);
  });

  it('is passed over, which is said, where testcontainers is not installed', async () => {
    await using finder = findInProcess({ NODE_OPTIONS: WITHOUT_TESTCONTAINERS });

    const { way, error, progress } = await finder.answer;

    expect(progress.join('\n')).toMatch(
      /testcontainers is not installed \(npm ci --omit=dev leaves it out\)/,
    );
    expect(way ?? error).toMatch(NEXT_WAY);
  });
});

interface Answer {
  way?: string;
  amqpUrl?: string;
  error?: string;
  progress: string[];
}

function findInProcess(env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [PROCESS], {
    env: { ...process.env, AMQP_URL: '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const exited = once(child, 'exit');
  const answer: Promise<Answer> = once(createInterface({ input: child.stdout }), 'line').then(([line]) =>
    JSON.parse(line),
  );
  return {
    answer,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** As Ctrl-C in a terminal does. */
    killAll: (signal: NodeJS.Signals) => process.kill(-Number(child.pid), signal),
    /** A folder or a container of its own is there. */
    started: async (folder: string) =>
      (await readdir(folder)).length > 0 || (await containersOf(child.pid)).length > 0,
    containers: () => containersOf(child.pid),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Names of the containers that a process has started; none where there is no engine. */
async function containersOf(pid: number | undefined): Promise<string[]> {
  const args = [
    'ps',
    '--all',
    '--filter',
    `name=^darkroom-rabbitmq-[0-9]+-${pid}$`,
    '--format',
    '{{.Names}}',
  ];
  const { stdout } = await promisify(execFile)('docker', args).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter((name) => name !== '');
}

/** An engine that runs, but makes no container and reaches no registry. */
async function brokenEngine({ hasImage }: { hasImage: boolean }) {
  const requests: string[] = [];
  const engine = createHttpServer(({ url = '' }, response) => {
    requests.push(url);
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (url.endsWith('/info')) answer(200, { ServerVersion: '28.0.0' });
    else if (url.includes('/images/create')) answer(500, { message: 'Error: no such host' });
    else if (url.includes('/images/') && hasImage) answer(200, { Id: 'sha256:0' });
    else answer(404, { message: 'No such image' });
  });
  await once(engine.listen(0, '127.0.0.1'), 'listening');
  return {
    requests,
    host: `tcp://127.0.0.1:${(engine.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      engine.closeAllConnections();
      engine.close();
      await once(engine, 'close');
    },
  };
}

async function listen() {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

async function closedPort() {
  await using listener = await listen();
  return { port: listener.port };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
