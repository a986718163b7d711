/** A namespace of a test's own on a real cluster: the chart in it, and the ways in. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { freePorts } from '../../runtime/cli/local-broker/rabbitmq-node.ts';
import { CHART, helm, RELEASE } from '../support/chart.ts';
import { Installation } from '../support/installation.ts';
import { findTool, runTool } from '../support/kube-tools.ts';
import { eventMessageOf, type TaskEventMessage } from '../support/task-events.ts';
import { until } from '../support/until.ts';
import { words } from '../support/words.ts';

const BROKER = `${RELEASE}-demo-broker`;
const PASSWORD = 'demo-only';
const DEV_VALUES = ['--values', `${CHART}/values-dev.yaml`];

export const SETTINGS = {
  image: process.env.E2E_IMAGE ?? 'darkroom:dev',
  timeoutS: Number(process.env.E2E_TIMEOUT_S ?? 300),
};

/** The function that the steps scale; the others stay at zero. */
export const FILTER = 'convert';
/** The least that the schema allows, so that a run takes minutes: task < drain < grace < cooldown. */
const QUICK = words(`
  defaults.timeouts.task=60 defaults.timeouts.drain=70 defaults.timeouts.grace=80
  defaults.scaling.cooldownPeriod=90 defaults.scaling.pollingInterval=5 defaults.scaling.maxReplicas=4
  defaults.scaling.messagesPerReplica=2
`);

export async function openCluster(): Promise<Cluster> {
  const namespace = `darkroom-e2e-${randomBytes(3).toString('hex')}`;
  await kubectl('create', 'namespace', namespace);
  // The API server itself then refuses any pod that asks for more than it may.
  await kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted');
  const [port = 0] = await freePorts(1);
  const cluster = new Cluster(namespace, port);
  await cluster.open(port);
  return cluster;
}

export function kubectl(...args: string[]): Promise<string> {
  return runTool('kubectl', args);
}

export class Cluster implements AsyncDisposable {
  readonly namespace: string;
  /** The release's, reached through a forwarded port. */
  readonly installation: Installation;
  readonly events: TaskEventMessage[] = [];
  #stopForwarding = () => {};

  /** @param port where the broker will be reached */
  constructor(namespace: string, port: number) {
    this.namespace = namespace;
    const url = `amqp://admin:${PASSWORD}@127.0.0.1:${port}`;
    this.installation = new Installation({
      existing: true,
      env: { AMQP_URL: url, DARKROOM_PREFIX: RELEASE },
    });
  }

  /** Installs the broker, then the release on it. */
  async open(port: number): Promise<void> {
    await this.#applyBroker();
    await this.upgrade();
    this.#stopForwarding = await forwardPort(this.namespace, port);
    await this.installation.open(SETTINGS.timeoutS * 1_000);
    const { names } = this.installation;
    await this.installation.watch(names.events, ['task.#'], ({ routingKey, body }) =>
      this.#note(eventMessageOf(routingKey, body)),
    );
  }

  helm(...args: string[]): Promise<string> {
    return helm('--namespace', this.namespace, ...args);
  }

  kubectl(...args: string[]): Promise<string> {
    return kubectl('--namespace', this.namespace, ...args);
  }

  rabbitmqctl(...args: string[]): Promise<string> {
    return this.kubectl('exec', `${BROKER}-0`, '--', 'rabbitmqctl', ...args);
  }

  /** `helm upgrade --install` with the values that a run needs, and these on top. */
  async upgrade(...settings: string[]): Promise<void> {
    const set = [...releaseSettings(this.namespace), ...settings].flatMap((setting) => ['--set', setting]);
    const wait = ['--wait', '--timeout', `${SETTINGS.timeoutS}s`];
    await this.helm('upgrade', '--install', RELEASE, CHART, ...DEV_VALUES, ...set, ...wait);
  }

  /** Pods of the function that exist and are not on their way out. */
  async workers(): Promise<number> {
    const selector = ['--selector', `darkroom.filter=${FILTER}`];
    const pods = JSON.parse(await this.kubectl('get', 'pods', ...selector, '--output', 'json')) as {
      items: { metadata: { deletionTimestamp?: string } }[];
    };
    return pods.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
  }

  async untilWorkers(wanted: (workers: number) => boolean, what: string): Promise<number> {
    let count = 0;
    await this.until(async () => {
      count = await this.workers();
      return wanted(count);
    }, what);
    return count;
  }

  /** Publishes images inside their messages; `slow` ones take a worker several seconds. */
  async publish(ids: string[], slow = false): Promise<void> {
    const body = await photo(slow ? 640 : 64);
    const output = JSON.stringify(slow ? { format: 'avif', effort: 6 } : { format: 'png' });
    const headers = { 'darkroom-steps': JSON.stringify([{ filter: FILTER }]), 'darkroom-output': output };
    // One after the other: a port-forward is a narrow way in.
    for (const messageId of ids) {
      const properties = { contentType: 'image/jpeg', messageId, headers };
      await this.installation.publish(body, { filter: FILTER, mandatory: true, properties });
    }
  }

  /** The final events of all these tasks. */
  untilEnded(ids: string[]): Promise<TaskEventMessage[]> {
    const endOf = (id: string) =>
      this.events.find(({ key, subject }) => subject === id && /^task\.(completed|failed)$/.test(key));
    return this.until(() => {
      const ended = ids.map(endOf);
      return ended.every((event) => event !== undefined) && ended;
    }, `${ids.length} tasks to end`);
  }

  until<T>(look: () => T | false | undefined | Promise<T | false | undefined>, what: string): Promise<T> {
    return until(look, what, SETTINGS.timeoutS * 1_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.installation[Symbol.asyncDispose]();
    this.#stopForwarding();
    await kubectl('delete', 'namespace', this.namespace, '--wait=false');
  }

  /** A forwarded port that breaks loses acks, so an event may come twice; a repeat of a step has another time. */
  #note(event: TaskEventMessage): void {
    const isCopy = this.events.some(({ id, time }) => id === event.id && time === event.time);
    if (!isCopy) this.events.push(event);
  }

  /** The chart's demo broker on its own, so that it outlives the release. */
  async #applyBroker(): Promise<void> {
    const only = ['--show-only', 'templates/broker/demo.yaml'];
    const file = join(this.installation.home, 'broker.yaml');
    await writeFile(file, await this.helm('template', RELEASE, CHART, ...DEV_VALUES, ...only));
    await this.kubectl('apply', '--filename', file);
    await this.kubectl('rollout', 'status', `statefulset/${BROKER}`, `--timeout=${SETTINGS.timeoutS}s`);
  }
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

/** A photo of noise, which no encoder makes short work of, in less than a hundred kilobytes. */
function photo(width: number): Promise<Buffer> {
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 50 };
  const height = Math.round(width * 0.75);
  return sharp({ create: { width, height, channels: 3, background: '#888', noise } })
    .jpeg({ quality: 40 })
    .toBuffer();
}

/** Starts again whenever the pod behind it goes. @returns what stops it */
async function forwardPort(namespace: string, port: number): Promise<() => void> {
  const tool = await findTool('kubectl');
  const args = ['--namespace', namespace, 'port-forward', `service/${BROKER}`, `${port}:5672`];
  let stopped = false;
  let running: ReturnType<typeof spawn>;
  const start = () => {
    running = spawn(tool, args, { stdio: 'ignore' });
    running.once('exit', () => stopped || setTimeout(start, 1_000));
  };
  start();
  return () => {
    stopped = true;
    running.kill();
  };
}
