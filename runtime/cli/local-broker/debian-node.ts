/** A private RabbitMQ node from the rabbitmq-server on this machine, with its data in a temporary folder. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, readFile, realpath, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type DebianPorts, prepareFolder } from './debian-folder.ts';
import {
  CREDENTIALS,
  freePorts,
  type NodeOptions,
  type RabbitNode,
  START_TIMEOUT_MS,
  startupErrors,
  whenServing,
} from './rabbitmq-node.ts';
import { type Reaper, reapedFolder } from './reaper.ts';

const STOP_TIMEOUT_MS = 30_000;
/** epmd in the foreground and in the node's process group: it does not become a daemon. */
const START_SCRIPT = 'echo $$ > "$HOME/pid"; epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 & exec "$0"';
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

export class DebianNode implements RabbitNode {
  readonly amqpUrl: string;
  readonly amqpsUrl: string | undefined;
  readonly managementUrl: string;
  readonly #server: string;
  readonly #ports: DebianPorts;
  readonly #env: NodeJS.ProcessEnv;
  readonly #startTimeoutMs: number;
  readonly #folder: string;
  readonly #reaper: Reaper;
  #beam: ChildProcess | undefined;
  #version = '';

  /** Starts a node; resolves when it serves. Works as any user, and beside other nodes and their epmd. */
  static async start(options: NodeOptions = {}): Promise<DebianNode> {
    const server = await findRabbitServer();
    if (server === undefined) throw new Error('no rabbitmq-server on the PATH');
    const { folder, reaper } = await reapedFolder('darkroom-rabbitmq-', CLEAN_UP);
    const [amqp = 0, amqps = 0, management = 0, distribution = 0, epmd = 0] = await freePorts(5);
    const ports = { amqp, amqps, management, distribution, epmd };
    const env = await prepareFolder(folder, server, ports, options);
    const node = new DebianNode(server, ports, env, options, { folder, reaper });
    try {
      await node.start();
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  constructor(
    server: string,
    ports: DebianPorts,
    env: NodeJS.ProcessEnv,
    options: NodeOptions,
    { folder, reaper }: { folder: string; reaper: Reaper },
  ) {
    const { amqp, amqps, management } = ports;
    this.amqpUrl = `amqp://${CREDENTIALS}@127.0.0.1:${amqp}`;
    this.amqpsUrl = options.tlsFolder === undefined ? undefined : `amqps://${CREDENTIALS}@127.0.0.1:${amqps}`;
    this.managementUrl = `http://${CREDENTIALS}@127.0.0.1:${management}`;
    this.#server = server;
    this.#ports = ports;
    this.#env = env;
    this.#startTimeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS;
    this.#folder = folder;
    this.#reaper = reaper;
  }

  get version(): string {
    return this.#version;
  }

  async start(): Promise<void> {
    const log = await open(this.#logFile, 'a');
    const beam = spawn('sh', ['-c', START_SCRIPT, this.#server], {
      env: this.#env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    this.#beam = beam;
    const died = new AbortController();
    const onExit = async (code: number | null) => {
      const reason = startupErrors(await readFile(this.#logFile, 'utf8').catch(() => ''));
      died.abort(new Error(`rabbitmq-server ended with ${code} while starting:\n${reason}`));
    };
    beam.once('exit', onExit);
    beam.unref();
    this.#version = await whenServing(this.#ports, { timeoutMs: this.#startTimeoutMs, died: died.signal });
    beam.off('exit', onExit);
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async ctl(...args: string[]): Promise<string> {
    const program = join(dirname(this.#server), 'rabbitmqctl');
    const { stdout } = await promisify(execFile)(program, args, { env: this.#env });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    this.#reaper.dismiss();
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const beam = this.#beam;
    this.#beam = undefined;
    if (beam?.pid === undefined) return;
    if (beam.exitCode === null && beam.signalCode === null) {
      beam.ref();
      const gone = once(beam, 'exit');
      if (signal === 'SIGTERM') {
        beam.kill('SIGTERM');
        await Promise.race([gone, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      }
      killGroup(beam.pid);
      await gone;
    }
    killGroup(beam.pid);
    await rm(join(this.#folder, 'pid'), { force: true });
    await whenClosed(this.#ports.epmd);
  }

  get #logFile(): string {
    return join(this.#folder, 'log');
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
