/** A namespace of a test's own on a real cluster: the chart in it, and the ways in. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Broker, openBroker } from '../../runtime/amqp/broker.ts';
import { names } from '../../runtime/amqp/topology.ts';
import { findTool } from '../support/kube-tools.ts';
import { until } from '../support/until.ts';

const CHART = fileURLToPath(new URL('../../helm', import.meta.url));
const RELEASE = 'darkroom';
const BROKER = `${RELEASE}-demo-broker`;
const PASSWORD = 'demo-only';
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export const SETTINGS = {
  image: process.env.E2E_IMAGE ?? 'darkroom:dev',
  timeoutS: Number(process.env.E2E_TIMEOUT_S ?? 300),
};

/** The function that the steps scale; the others stay at zero. */
export const FILTER = 'convert';
/** The least that the schema allows, so that a run takes minutes: task < drain < grace < cooldown. */
const QUICK = [
  'defaults.timeouts.task=60',
  'defaults.timeouts.drain=70',
  'defaults.timeouts.grace=80',
  'defaults.scaling.cooldownPeriod=90',
  'defaults.scaling.pollingInterval=5',
  'defaults.scaling.maxReplicas=4',
  'defaults.scaling.messagesPerReplica=2',
];

export interface TaskEvent {
  type: string;
  subject: string;
  data: Record<string, unknown>;
}

export interface Cluster extends AsyncDisposable {
  namespace: string;
  helm(...args: string[]): Promise<string>;
  kubectl(...args: string[]): Promise<string>;
  /** `helm upgrade --install` with the values that a run needs, and these on top. */
  upgrade(...settings: string[]): Promise<void>;
  /** Pods of the function that exist and are not on their way out. */
  workers(): Promise<number>;
  untilWorkers(wanted: (workers: number) => boolean, what: string): Promise<number>;
  broker: Broker;
  events: TaskEvent[];
  /** Publishes images inside their messages; `slow` ones take a worker several seconds. */
  publish(ids: string[], slow?: boolean): Promise<void>;
  untilEnded(ids: string[]): Promise<TaskEvent[]>;
  rabbitmqctl(...args: string[]): Promise<string>;
}

export async function kubectl(args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(await findTool('kubectl'), args, { maxBuffer: 1e8 });
  return stdout;
}

export async function openCluster(): Promise<Cluster> {
  const namespace = `darkroom-e2e-${randomBytes(3).toString('hex')}`;
  await kubectl(['create', 'namespace', namespace]);
  // The API server itself then refuses any pod that asks for more than it may.
  await kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
  const inNamespace = (...args: string[]) => kubectl(['--namespace', namespace, ...args]);
  const helm = async (...args: string[]) =>
    (
      await promisify(execFile)(await findTool('helm'), ['--namespace', namespace, ...args], {
        maxBuffer: 1e8,
      })
    ).stdout;
  const upgrade = async (...settings: string[]) => {
    const set = [...releaseSettings(namespace), ...settings].flatMap((setting) => ['--set', setting]);
    await helm(
      'upgrade',
      '--install',
      RELEASE,
      CHART,
      '--values',
      `${CHART}/values-dev.yaml`,
      ...set,
      '--wait',
      '--timeout',
      `${SETTINGS.timeoutS}s`,
    );
  };
  await applyBroker(namespace);
  await upgrade();
  const forward = await portForward(namespace);
  const broker = openBroker({
    url: `amqp://admin:${PASSWORD}@127.0.0.1:${forward.port}`,
    heartbeatMs: 10_000,
    confirmTimeoutMs: 30_000,
    connectTimeoutMs: 10_000,
    name: 'e2e',
    log: SILENT,
  });
  await broker.ready(AbortSignal.timeout(SETTINGS.timeoutS * 1_000));
  const events = collectEvents(broker);
  const workers = async () => {
    const pods = JSON.parse(
      await inNamespace('get', 'pods', '--selector', `darkroom.filter=${FILTER}`, '--output', 'json'),
    ) as { items: { metadata: { deletionTimestamp?: string } }[] };
    return pods.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
  };
  return {
    namespace,
    helm,
    kubectl: inNamespace,
    upgrade,
    workers,
    broker,
    events,
    untilWorkers: (wanted, what) =>
      until(
        async () => {
          const count = await workers();
          return wanted(count) ? { count } : undefined;
        },
        what,
        SETTINGS.timeoutS * 1_000,
      ).then(({ count }) => count),
    async publish(ids, slow = false) {
      const body = await photo(slow ? 640 : 64);
      const output = JSON.stringify(slow ? { format: 'avif', effort: 6 } : { format: 'png' });
      const headers = { 'darkroom-steps': JSON.stringify([{ filter: FILTER }]), 'darkroom-output': output };
      // One after the other: a port-forward is a narrow way in.
      for (const id of ids) {
        await broker.publish({
          exchange: names(RELEASE).exchange,
          routingKey: FILTER,
          mandatory: true,
          body,
          properties: { contentType: 'image/jpeg', messageId: id, headers },
        });
      }
    },
    untilEnded: (ids) =>
      until(
        () => {
          const ended = ids.map((id) =>
            events.find(({ type, subject }) => subject === id && /task\.(completed|failed)$/.test(type)),
          );
          return ended.every((event) => event !== undefined) ? ended : undefined;
        },
        `${ids.length} tasks to end`,
        SETTINGS.timeoutS * 1_000,
      ),
    rabbitmqctl: (...args) => inNamespace('exec', `${BROKER}-0`, '--', 'rabbitmqctl', ...args),
    async [Symbol.asyncDispose]() {
      await broker.close();
      forward.stop();
      await kubectl(['delete', 'namespace', namespace, '--wait=false']);
    },
  };
}

/** The release's values over values-dev.yaml: on the broker beside it, and quick. */
export function releaseSettings(namespace: string): string[] {
  const [repository = '', tag = 'latest'] = SETTINGS.image.split(/:(?=[^/]+$)/);
  return [
    'demoBroker.enabled=false',
    // With the namespace: KEDA asks from its own.
    `broker.url=amqp://${BROKER}.${namespace}.svc:5672`,
    `broker.managementUrl=http://${BROKER}.${namespace}.svc:15672`,
    ...['admin', 'worker', 'monitor'].map((user) => `broker.${user}.existingSecret=${RELEASE}-demo-${user}`),
    `defaults.image.repository=${repository}`,
    `defaults.image.tag=${tag}`,
    ...QUICK,
  ];
}

/** The chart's demo broker on its own, so that it outlives the release. */
async function applyBroker(namespace: string): Promise<void> {
  const helm = await findTool('helm');
  const template = [
    'template',
    RELEASE,
    CHART,
    '--namespace',
    namespace,
    '--values',
    `${CHART}/values-dev.yaml`,
    '--show-only',
    'templates/broker/demo.yaml',
  ];
  const { stdout } = await promisify(execFile)(helm, template);
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-e2e-'));
  await writeFile(join(folder, 'broker.yaml'), stdout);
  await kubectl(['--namespace', namespace, 'apply', '--filename', join(folder, 'broker.yaml')]);
  await rm(folder, { recursive: true });
  await kubectl([
    '--namespace',
    namespace,
    'rollout',
    'status',
    `statefulset/${BROKER}`,
    `--timeout=${SETTINGS.timeoutS}s`,
  ]);
}

/** A photo of noise, which no encoder makes short work of, in less than a hundred kilobytes. */
async function photo(width: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 50 };
  return await sharp({
    create: { width, height: Math.round(width * 0.75), channels: 3, background: '#888', noise },
  })
    .jpeg({ quality: 40 })
    .toBuffer();
}

/** Starts again whenever the pod behind it goes. */
async function portForward(namespace: string): Promise<{ port: number; stop(): void }> {
  const tool = await findTool('kubectl');
  const port = await freePort();
  let stopped = false;
  let running: ReturnType<typeof spawn>;
  const start = () => {
    running = spawn(tool, ['--namespace', namespace, 'port-forward', `service/${BROKER}`, `${port}:5672`], {
      stdio: 'ignore',
    });
    running.once('exit', () => stopped || setTimeout(start, 1_000));
  };
  start();
  return {
    port,
    stop() {
      stopped = true;
      running.kill();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** From a queue that outlives a lost connection. */
function collectEvents(broker: Broker): TaskEvent[] {
  const events: TaskEvent[] = [];
  const queue = `${RELEASE}-e2e-events`;
  void broker
    .withChannel(async (channel) => {
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
      await channel.bindQueue(queue, names(RELEASE).events, 'task.#');
    })
    .then(() =>
      broker.consume(
        queue,
        (delivery) => {
          events.push(JSON.parse(delivery.body.toString('utf8')) as TaskEvent);
          delivery.ack();
        },
        { prefetch: 100 },
      ),
    );
  return events;
}
