/** Starts a private RabbitMQ node from the rabbitmq-server on this machine, with its data in a temporary folder. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, mkdir, open, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { guardedFolder } from './reaper.ts';

const STOP_TIMEOUT_MS = 30_000;
/** In case this process dies: the process group named in the folder's pid file, if any, then the folder. */
const CLEAN_UP = `
[ -s "$1/pid" ] && kill -9 "-$(cat "$1/pid")"
for attempt in 1 2 3 4 5; do sleep 1; rm -rf -- "$1" && exit; done`;

/** The rabbitmq-server script to run, or undefined where none is installed. */
export async function findRabbitServer(): Promise<string | undefined> {
  // Debian's /usr/sbin/rabbitmq-server changes user and folder; the script behind it does not.
  const folders = ['/usr/lib/rabbitmq/bin', ...(process.env.PATH ?? '').split(delimiter)];
  for (const folder of [...folders, '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin']) {
    const script = join(folder, 'rabbitmq-server');
    if (folder !== '' && existsSync(script)) return realpath(script);
  }
  return undefined;
}

/** Starts a node; resolves when it serves. Works as any user, and beside other nodes and their epmd. */
export async function startDebianNode(options: NodeOptions = {}): Promise<RabbitNode> {
  const server = await findRabbitServer();
  if (server === undefined) throw new Error('no rabbitmq-server on the PATH');
  const { folder, guardian } = await guardedFolder('darkroom-rabbitmq-', CLEAN_UP);
  const [amqp = 0, amqps = 0, management = 0, distribution = 0, epmd = 0] = await freePorts(5);
  const ports = { amqp, amqps, management, distribution, epmd };
  const env = await prepare(folder, server, ports, options);

  let beam: ChildProcess | undefined;
  let version = '';

  async function start() {
    const log = await open(join(folder, 'log'), 'a');
    // epmd in the foreground and in the node's process group: nothing is left to daemonise.
    const script = 'echo $$ > "$HOME/pid"; epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 & exec "$0"';
    beam = spawn('sh', ['-c', script, server as string], {
      env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    const died = new AbortController();
    const onExit = async (code: number | null) => {
      const reason = startupErrors(await readFile(join(folder, 'log'), 'utf8').catch(() => ''));
      died.abort(new Error(`rabbitmq-server ended with ${code} while starting:\n${reason}`));
    };
    beam.once('exit', onExit);
    beam.unref();
    const timeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS;
    version = await whenServing(ports, { timeoutMs, died: died.signal });
    beam.off('exit', onExit);
  }

  async function end(how: 'SIGTERM' | 'SIGKILL') {
    const ending = beam;
    beam = undefined;
    if (ending?.pid === undefined) return;
    if (ending.exitCode === null && ending.signalCode === null) {
      ending.ref();
      const gone = once(ending, 'exit');
      if (how === 'SIGTERM') {
        ending.kill('SIGTERM');
        await Promise.race([gone, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      }
      killGroup(ending.pid);
      await gone;
    }
    killGroup(ending.pid);
    await rm(join(folder, 'pid'), { force: true });
    await whenClosed(ports.epmd);
  }

  async function remove() {
    await end('SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    guardian.dismiss();
  }

  try {
    await start();
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    amqpUrl: `amqp://${CREDENTIALS}@127.0.0.1:${ports.amqp}`,
    amqpsUrl: options.tlsFolder === undefined ? undefined : `amqps://${CREDENTIALS}@127.0.0.1:${ports.amqps}`,
    managementUrl: `http://${CREDENTIALS}@127.0.0.1:${ports.management}`,
    version,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
    async restart() {
      await end('SIGTERM');
      await start();
    },
    async ctl(...args) {
      const { stdout } = await promisify(execFile)(join(dirname(server), 'rabbitmqctl'), args, { env });
      return stdout;
    },
    [Symbol.asyncDispose]: remove,
  };
}

interface Ports {
  amqp: number;
  amqps: number;
  management: number;
  distribution: number;
  epmd: number;
}

/** Writes the node's files and gives the environment that makes RabbitMQ read these and no others. */
async function prepare(
  folder: string,
  server: string,
  ports: Ports,
  options: NodeOptions,
): Promise<NodeJS.ProcessEnv> {
  const config = `listeners.tcp.1 = 127.0.0.1:${ports.amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${ports.management}
log.console = true
log.file = false
${FRESH_COUNTS.config}
${options.tlsFolder === undefined ? '' : tlsConfig(`127.0.0.1:${ports.amqps}`, options.tlsFolder)}
${options.config ?? ''}
`;
  const plugins = ['rabbitmq_management', ...(options.plugins ?? [])];
  await mkdir(join(folder, 'plugins'));
  await writeFile(join(folder, 'rabbitmq.conf'), config);
  await writeFile(join(folder, 'advanced.config'), FRESH_COUNTS.advanced);
  await writeFile(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`);
  await writeFile(join(folder, '.erlang.cookie'), folder.slice(-6).padStart(20, 'x'), { mode: 0o400 });
  const pluginsFolder = await leanPlugins(server, folder, plugins);
  const name = `darkroom-${ports.amqp}@localhost`;
  return {
    PATH: `${dirname(server)}${delimiter}${process.env.PATH ?? ''}${delimiter}/usr/sbin`,
    LANG: 'C.UTF-8',
    HOME: folder,
    RABBITMQ_NODENAME: name,
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'logs'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: join(folder, 'conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP: join(folder, 'erl_crash.dump'),
    ...(pluginsFolder === undefined ? {} : { RABBITMQ_PLUGINS_DIR: pluginsFolder }),
    // Named from the start, the node skips an Erlang process that only looks for epmd. Idle schedulers sleep
    // instead of spinning, which leaves the cores to the images.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-sname ${name} -start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none`,
  };
}

/**
 * A folder of links to RabbitMQ's libraries and only the wanted plugins: Erlang looks for each module in every
 * folder of its path, and starts seconds sooner with half of them. Undefined (use the default) where the layout
 * is another.
 */
async function leanPlugins(server: string, folder: string, wanted: string[]): Promise<string | undefined> {
  const all = join(dirname(server), '..', 'plugins');
  try {
    await access(all);
    const keep = [...wanted, 'rabbitmq_management_agent', 'rabbitmq_web_dispatch', 'rabbitmq_prelaunch'];
    for (const entry of await readdir(all)) {
      const optional = entry.startsWith('rabbitmq_') && !keep.some((name) => entry.startsWith(`${name}-`));
      if (!optional) await symlink(join(all, entry), join(folder, 'plugins', entry));
    }
    return join(folder, 'plugins');
  } catch {
    return undefined;
  }
}

function killGroup(leader: number) {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

/** The group's last member frees its port a moment after the kill; a start before that would find it taken. */
async function whenClosed(port: number) {
  for (let attempt = 0; attempt < 50; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (!open) return;
    await sleep(20);
  }
}
