/** RabbitMQ for tests: the shared broker for most, private nodes for those that stop or break theirs. */
import { randomBytes } from 'node:crypto';
import type { GetMessage } from 'amqplib';
import { type Broker, type BrokerOptions, openBroker } from '../../runtime/amqp/broker.ts';
import {
  dockerEngine,
  findRabbitServer,
  type NodeOptions,
  type RabbitNode,
  startDebianNode,
  startDockerNode,
} from '../../runtime/cli/local-broker/start-rabbitmq.ts';

export type RabbitVersion = '3.10' | '4';

/** The versions that can be started here: what TEST_RABBITMQ asks for, else all. May be none. */
export async function presentVersions(): Promise<RabbitVersion[]> {
  const wanted = process.env.TEST_RABBITMQ;
  const versions: RabbitVersion[] = [];
  if ((await findRabbitServer()) !== undefined) versions.push('3.10');
  if ((await dockerEngine()) === 'ready') versions.push('4');
  return versions.filter((version) => wanted === undefined || version === wanted);
}

/** The same, but at least one: a test that ran on none would show nothing. */
export async function rabbitVersions(): Promise<RabbitVersion[]> {
  const versions = await presentVersions();
  if (versions.length === 0)
    throw new Error(`no RabbitMQ ${process.env.TEST_RABBITMQ ?? ''} can be started here`);
  return versions;
}

/** A private node. `3.10` is the machine's rabbitmq-server, `4` a container; default what is at hand. */
export async function startRabbit(
  options: NodeOptions & { version?: RabbitVersion } = {},
): Promise<RabbitNode> {
  const version = options.version ?? (await rabbitVersions())[0];
  return version === '4' ? startDockerNode(options) : startDebianNode(options);
}

export interface TestBroker {
  amqpUrl: string;
  managementUrl: string | undefined;
}

let shared: Promise<TestBroker> | undefined;

/** The broker at AMQP_URL, which tests share: each has to use names of its own. Without one, a node is started. */
export function testBroker(): Promise<TestBroker> {
  const { AMQP_URL, AMQP_MANAGEMENT_URL } = process.env;
  shared ??= AMQP_URL
    ? Promise.resolve({ amqpUrl: AMQP_URL, managementUrl: AMQP_MANAGEMENT_URL })
    : // Never disposed of: it ends with this process.
      startRabbit();
  return shared;
}

/** A name that no other test uses, also as an installation's prefix. */
export function uniqueName(word = 'test'): string {
  return `${word}-${randomBytes(5).toString('hex')}`;
}

export interface OpenedBroker extends AsyncDisposable {
  broker: Broker;
  /** What was logged, as `level: message`. */
  logged: string[];
}

/** A broker connection with short timeouts, closed when the test ends. */
export function openTestBroker(url: string, options: Partial<BrokerOptions> = {}): OpenedBroker {
  const logged: string[] = [];
  const at = (level: string) => (_fields: object, message: string) =>
    void logged.push(`${level}: ${message}`);
  const broker = openBroker({
    url,
    name: 'test',
    heartbeatMs: 1000,
    confirmTimeoutMs: 5000,
    connectTimeoutMs: 2000,
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    ...options,
  });
  return { broker, logged, [Symbol.asyncDispose]: () => broker.close(1000) };
}

export interface TestQueue extends AsyncDisposable {
  name: string;
}

/** A durable quorum queue of the test's own. */
export async function testQueue(broker: Broker, args: Record<string, unknown> = {}): Promise<TestQueue> {
  const name = uniqueName('queue');
  await declareQuorum(broker, name, args);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await broker.withChannel((channel) => channel.deleteQueue(name));
    },
  };
}

export async function declareQuorum(
  broker: Broker,
  name: string,
  args: Record<string, unknown> = {},
): Promise<void> {
  await broker.withChannel((channel) =>
    channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum', ...args } }),
  );
}

/** The oldest message of a queue, taken out of it. */
export async function takeOne(broker: Broker, queue: string): Promise<GetMessage | undefined> {
  return (await broker.withChannel((channel) => channel.get(queue, { noAck: true }))) || undefined;
}
