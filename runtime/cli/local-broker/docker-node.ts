/** A private RabbitMQ node as a container of a Docker engine, published on loopback only. */
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { RabbitMQContainer } from '@testcontainers/rabbitmq';
import { getContainerRuntimeClient, type WaitStrategy } from 'testcontainers';
import { type EngineContainer, removeContainer } from './docker-engine.ts';
import {
  CREDENTIALS,
  FRESH_COUNTS,
  freePorts,
  type NodeOptions,
  RABBITMQ_IMAGE,
  type RabbitNode,
  START_TIMEOUT_MS,
  startupErrors,
  tlsConfig,
  whenServing,
} from './rabbitmq-node.ts';
import { type Reaper, startReaper } from './reaper.ts';

const STOP_TIMEOUT_MS = 30_000;
const LOG_LINES = 500;
const TLS_FOLDER = '/etc/rabbitmq/tls';
const AMQP_PORT = 5672;
const AMQPS_PORT = 5671;
const MANAGEMENT_PORT = 15672;
const REMOVE_CONTAINER = fileURLToPath(new URL('./remove-container.ts', import.meta.url));

interface HostPorts {
  amqp: number;
  amqps: number;
  management: number;
}

export class DockerNode implements RabbitNode {
  readonly amqpUrl: string;
  readonly amqpsUrl: string | undefined;
  readonly managementUrl: string;
  readonly #container: EngineContainer;
  readonly #serving: ServingStrategy;
  readonly #name: string;
  readonly #reaper: Reaper;

  /** Starts a container; resolves when RabbitMQ in it serves. The image is pulled only where it is missing. */
  static async start(options: NodeOptions = {}): Promise<DockerNode> {
    const [amqp = 0, amqps = 0, management = 0] = await freePorts(3);
    const ports = { amqp, amqps, management };
    const name = `darkroom-rabbitmq-${amqp}-${process.pid}`;
    const reaper = startReaper('exec "$1" "$2" "$3"', process.execPath, REMOVE_CONTAINER, name);
    const serving = new ServingStrategy(ports, options.startTimeoutMs ?? START_TIMEOUT_MS);
    try {
      const started = await configured(new LoopbackContainer(ports), name, options)
        .withWaitStrategy(serving)
        .start();
      const { container } = await getContainerRuntimeClient();
      const hasTls = options.tlsFolder !== undefined;
      return new DockerNode(container.getById(started.getId()), { name, ports, serving, reaper, hasTls });
    } catch (error) {
      await removeContainer(name).catch(() => {});
      reaper.dismiss();
      throw error;
    }
  }

  constructor(
    container: EngineContainer,
    made: { name: string; ports: HostPorts; serving: ServingStrategy; reaper: Reaper; hasTls: boolean },
  ) {
    const { amqp, amqps, management } = made.ports;
    this.amqpUrl = `amqp://${CREDENTIALS}@127.0.0.1:${amqp}`;
    this.amqpsUrl = made.hasTls ? `amqps://${CREDENTIALS}@127.0.0.1:${amqps}` : undefined;
    this.managementUrl = `http://${CREDENTIALS}@127.0.0.1:${management}`;
    this.#container = container;
    this.#serving = made.serving;
    this.#name = made.name;
    this.#reaper = made.reaper;
  }

  get version(): string {
    return this.#serving.version;
  }

  async start(): Promise<void> {
    await this.#container.start();
    await this.#serving.waitUntilReady(this.#container);
  }

  async stop(): Promise<void> {
    const { container } = await getContainerRuntimeClient();
    await container.stop(this.#container, { timeout: STOP_TIMEOUT_MS });
  }

  async kill(): Promise<void> {
    await this.#container.kill();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async ctl(...args: string[]): Promise<string> {
    const { container } = await getContainerRuntimeClient();
    const { exitCode, stdout, output } = await container.exec(this.#container, ['rabbitmqctl', ...args]);
    if (exitCode !== 0) throw new Error(`rabbitmqctl ${args.join(' ')} ended with ${exitCode}: ${output}`);
    return stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeContainer(this.#name).catch(() => {});
    this.#reaper.dismiss();
  }
}

/** Ports that outlive a restart, on loopback: testcontainers publishes random ones on every interface. */
class LoopbackContainer extends RabbitMQContainer {
  readonly #ports: HostPorts;

  constructor(ports: HostPorts) {
    super(RABBITMQ_IMAGE);
    this.#ports = ports;
  }

  protected override async beforeContainerCreated(): Promise<void> {
    const { amqp, amqps, management } = this.#ports;
    const bind = (port: number) => [{ HostIp: '127.0.0.1', HostPort: String(port) }];
    this.exposedPorts = [AMQP_PORT, AMQPS_PORT, MANAGEMENT_PORT];
    this.hostConfig.PortBindings = {
      [`${AMQP_PORT}/tcp`]: bind(amqp),
      [`${AMQPS_PORT}/tcp`]: bind(amqps),
      [`${MANAGEMENT_PORT}/tcp`]: bind(management),
    };
  }
}

/** Ready when the management API and AMQP answer; a container that ends before says why. */
class ServingStrategy implements WaitStrategy {
  /** RabbitMQ's, once it has served. */
  version = '';
  readonly #ports: HostPorts;
  #timeoutMs: number;

  constructor(ports: HostPorts, timeoutMs: number) {
    this.#ports = ports;
    this.#timeoutMs = timeoutMs;
  }

  async waitUntilReady(container: EngineContainer): Promise<void> {
    const died = new AbortController();
    const settled = new AbortController();
    container.wait({ abortSignal: settled.signal }).then(
      async ({ StatusCode }: { StatusCode: number }) => {
        const reason = startupErrors(await logOf(container).catch(() => ''));
        died.abort(new Error(`the container ended with ${StatusCode} while starting:\n${reason}`));
      },
      () => {},
    );
    try {
      this.version = await whenServing(this.#ports, { timeoutMs: this.#timeoutMs, died: died.signal });
    } finally {
      settled.abort();
    }
  }

  withStartupTimeout(timeoutMs: number): WaitStrategy {
    this.#timeoutMs = timeoutMs;
    return this;
  }

  isStartupTimeoutSet(): boolean {
    return true;
  }

  getStartupTimeout(): number {
    return this.#timeoutMs;
  }
}

function configured(container: LoopbackContainer, name: string, options: NodeOptions): LoopbackContainer {
  const plugins = ['rabbitmq_management', ...(options.plugins ?? [])];
  const config = `loopback_users = none
log.console = true
log.file = false
${FRESH_COUNTS.config}
${options.tlsFolder === undefined ? '' : tlsConfig(String(AMQPS_PORT), TLS_FOLDER)}
${options.config ?? ''}
`;
  const file = (target: string, content: string) => ({
    target: `/etc/rabbitmq/${target}`,
    content,
    mode: 0o644,
  });
  // Copied, not mounted: the engine need not share this machine's files.
  container.withCopyContentToContainer([
    file('rabbitmq.conf', config),
    file('enabled_plugins', `[${plugins.join(',')}].\n`),
    file('advanced.config', FRESH_COUNTS.advanced),
  ]);
  if (options.tlsFolder !== undefined)
    container.withCopyDirectoriesToContainer([{ source: options.tlsFolder, target: TLS_FOLDER }]);
  // Ryuk, testcontainers' own reaper, is an image more to pull. Ours needs none, and does not wait.
  return container.withName(name).withAutoCleanup(false);
}

async function logOf(container: EngineContainer): Promise<string> {
  const { container: containers } = await getContainerRuntimeClient();
  return await text(await containers.logs(container, { tail: LOG_LINES }));
}
