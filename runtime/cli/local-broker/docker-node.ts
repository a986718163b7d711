/** Starts a private RabbitMQ node as a container of a Docker engine, published on loopback only. */

import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CREDENTIALS,
  FRESH_COUNTS,
  freePorts,
  type NodeOptions,
  type RabbitNode,
  START_TIMEOUT_MS,
  startupErrors,
  tlsConfig,
  whenServing,
} from './rabbitmq-node.ts';
import { guard, guardedFolder } from './reaper.ts';

export const RABBITMQ_IMAGE = 'rabbitmq:4-management';

export interface DockerNodeOptions extends NodeOptions {
  /** Default {@link RABBITMQ_IMAGE}. Pulled by the engine when missing. */
  image?: string;
  /** `docker create` may have to pull the image. Default 5 min. */
  pullTimeoutMs?: number;
}

const PULL_TIMEOUT_MS = 300_000;
const TLS_FOLDER = '/etc/rabbitmq/tls';
/** In case this process dies: the engine may still be making the container then, which nobody waits for any more. */
const CLEAN_UP = `
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  docker container inspect "$1" && docker rm --force --volumes "$1" && exit
  sleep 1
done`;

/** Whether a Docker engine answers, with the image at hand (`ready`) or without (`needs-pull`). */
export async function dockerEngine(image = RABBITMQ_IMAGE): Promise<'ready' | 'needs-pull' | 'absent'> {
  try {
    await docker(['version', '--format', '{{.Server.Version}}'], 10_000);
  } catch {
    return 'absent';
  }
  const found = await docker(['image', 'inspect', '--format', '{{.Id}}', image], 10_000).catch(
    () => undefined,
  );
  return found === undefined ? 'needs-pull' : 'ready';
}

/** Starts a container; resolves when RabbitMQ in it serves. */
export async function startDockerNode(options: DockerNodeOptions = {}): Promise<RabbitNode> {
  const [amqp = 0, amqps = 0, management = 0] = await freePorts(3);
  const name = `darkroom-rabbitmq-${amqp}-${process.pid}`;
  const guardian = guard(CLEAN_UP, name);
  const timeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS;
  let version = '';

  async function start() {
    await docker(['start', name]);
    const died = new AbortController();
    const serving = new AbortController();
    docker(['wait', name], timeoutMs, serving.signal).then(
      async (code) =>
        died.abort(new Error(`the container ended with ${code} while starting:\n${await logs(name)}`)),
      () => {},
    );
    try {
      version = await whenServing({ amqp, management }, { timeoutMs, died: died.signal });
    } finally {
      serving.abort();
    }
  }

  async function remove() {
    await docker(['rm', '--force', '--volumes', name]).catch(() => {});
    guardian.dismiss();
  }

  try {
    const publish = [`${amqp}:5672`, `${amqps}:5671`, `${management}:15672`];
    await docker(
      [
        'create',
        '--name',
        name,
        ...publish.flatMap((pair) => ['-p', `127.0.0.1:${pair}`]),
        options.image ?? RABBITMQ_IMAGE,
      ],
      options.pullTimeoutMs ?? PULL_TIMEOUT_MS,
    );
    await copyConfig(name, options);
    await start();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    amqpUrl: `amqp://${CREDENTIALS}@127.0.0.1:${amqp}`,
    amqpsUrl: options.tlsFolder === undefined ? undefined : `amqps://${CREDENTIALS}@127.0.0.1:${amqps}`,
    managementUrl: `http://${CREDENTIALS}@127.0.0.1:${management}`,
    version,
    stop: () => docker(['stop', '--time', '30', name]).then(() => {}),
    kill: () => docker(['kill', name]).then(() => {}),
    start,
    async restart() {
      await docker(['stop', '--time', '30', name]);
      await start();
    },
    ctl: (...args) => docker(['exec', name, 'rabbitmqctl', ...args]),
    [Symbol.asyncDispose]: remove,
  };
}

/** Copied, not mounted: the engine need not share this machine's files. */
async function copyConfig(name: string, options: DockerNodeOptions) {
  const { folder, guardian } = await guardedFolder('darkroom-docker-', 'rm -rf -- "$1"');
  try {
    const config = `loopback_users = none
log.console = true
log.file = false
${FRESH_COUNTS.config}
${options.tlsFolder === undefined ? '' : tlsConfig('5671', TLS_FOLDER)}
${options.config ?? ''}
`;
    const plugins = ['rabbitmq_management', ...(options.plugins ?? [])];
    await writeFile(join(folder, 'rabbitmq.conf'), config, { mode: 0o644 });
    await writeFile(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`, { mode: 0o644 });
    await writeFile(join(folder, 'advanced.config'), FRESH_COUNTS.advanced, { mode: 0o644 });
    for (const file of ['rabbitmq.conf', 'enabled_plugins', 'advanced.config']) {
      await docker(['cp', join(folder, file), `${name}:/etc/rabbitmq/${file}`]);
    }
    if (options.tlsFolder !== undefined) await docker(['cp', options.tlsFolder, `${name}:${TLS_FOLDER}`]);
  } finally {
    await rm(folder, { recursive: true, force: true });
    guardian.dismiss();
  }
}

async function logs(name: string): Promise<string> {
  return startupErrors(await docker(['logs', '--tail', '500', name]).catch(() => ''));
}

async function docker(args: string[], timeoutMs = 60_000, signal?: AbortSignal): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', args, { timeout: timeoutMs, signal });
  return stdout.trim();
}
