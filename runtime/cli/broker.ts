/** Finds a RabbitMQ for a demo or a test run: the one that is configured, or one started for the occasion. */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { asError, UserError } from '../errors.ts';
import { redactUrl } from '../redact.ts';
import { aptInstall, canAptInstall } from './apt.ts';
import {
  dockerEngine,
  findRabbitServer,
  RABBITMQ_IMAGE,
  startDebianNode,
  startDockerNode,
} from './local-broker/start-rabbitmq.ts';

/** The ways to a broker, in the order in which they are tried. */
export const WAYS = ['amqp-url', 'docker', 'debian'] as const;
export type Way = (typeof WAYS)[number];

export interface FindBrokerOptions {
  /** Told in words what is being tried and what did not work. */
  onProgress?: (text: string) => void;
  /** A way to try before the others. */
  prefer?: Way;
  /** Whether the Debian package may be installed when nothing else is found. */
  allowInstall: boolean;
  /** Where AMQP_URL and AMQP_MANAGEMENT_URL are read; default `process.env`. */
  env?: NodeJS.ProcessEnv;
}

export interface FoundBroker extends AsyncDisposable {
  way: Way;
  amqpUrl: string;
  /** Address of the management API with its credentials; undefined when AMQP_URL is given without one. */
  managementUrl?: string;
  /** RabbitMQ's version; undefined for a broker that was running already. */
  version?: string;
  /** Stops what was started, data included. A broker that was running already is left alone. */
  stop(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const PULL_TIMEOUT_MS = 90_000;

/**
 * Finds or starts a broker. A started one listens on free ports, keeps its data in a temporary folder and stops
 * when this process ends, however it ends.
 * @throws UserError when AMQP_URL is set and does not answer, or when there is no way left
 */
export async function findBroker(options: FindBrokerOptions): Promise<FoundBroker> {
  const onProgress = options.onProgress ?? (() => {});
  const env = options.env ?? process.env;
  const preferred = options.prefer === undefined ? [] : [options.prefer];
  for (const way of new Set([...preferred, ...WAYS])) {
    const found = await FINDERS[way]({ onProgress, env, allowInstall: options.allowInstall });
    if (found) return found;
  }
  throw new UserError(NO_BROKER);
}

interface Search {
  onProgress: (text: string) => void;
  env: NodeJS.ProcessEnv;
  allowInstall: boolean;
}

const FINDERS: Record<Way, (search: Search) => Promise<FoundBroker | undefined>> = {
  'amqp-url': findConfigured,
  docker: findDocker,
  debian: findDebian,
};

async function findConfigured({ env, onProgress }: Search): Promise<FoundBroker | undefined> {
  const amqpUrl = env.AMQP_URL;
  if (!amqpUrl) return undefined;
  await answers(amqpUrl);
  onProgress(`using the broker at ${redactUrl(amqpUrl)} (AMQP_URL)`);
  const stop = async () => {};
  return {
    way: 'amqp-url',
    amqpUrl,
    managementUrl: env.AMQP_MANAGEMENT_URL,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function answers(amqpUrl: string): Promise<void> {
  if (!URL.canParse(amqpUrl)) throw new UserError('AMQP_URL is not a URL such as amqp://host:5672');
  const { hostname, port, protocol } = new URL(amqpUrl);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(port) || (protocol === 'amqps:' ? 5671 : 5672),
    timeout: CONNECT_TIMEOUT_MS,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
      socket.once('timeout', () => reject(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1_000} s`)));
    });
  } catch (error) {
    throw new UserError(
      `AMQP_URL is ${redactUrl(amqpUrl)}, but no broker answers there (${asError(error).message}). ` +
        'Start that broker, correct the address, or unset AMQP_URL to have a broker found or started.',
      { cause: error },
    );
  } finally {
    socket.destroy();
  }
}

async function findDocker({ onProgress }: Search): Promise<FoundBroker | undefined> {
  const engine = await dockerEngine();
  if (engine === 'absent') return undefined;
  if (engine === 'needs-pull') {
    onProgress(`pulling ${RABBITMQ_IMAGE}`);
    try {
      await promisify(execFile)('docker', ['pull', '--quiet', RABBITMQ_IMAGE], { timeout: PULL_TIMEOUT_MS });
    } catch (error) {
      onProgress(
        `Docker runs here, but ${RABBITMQ_IMAGE} could not be pulled (${reason(error)}); going on without it`,
      );
      return undefined;
    }
  }
  onProgress(`starting RabbitMQ in a container (${RABBITMQ_IMAGE})`);
  return started('docker', onProgress);
}

/** What the command said, or that it took too long. */
function reason(error: unknown): string {
  const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return output.split('\n')[0] || `no end within ${PULL_TIMEOUT_MS / 1_000} s`;
}

async function findDebian({ onProgress, allowInstall }: Search): Promise<FoundBroker | undefined> {
  if ((await findRabbitServer()) === undefined) {
    if (!allowInstall || !canAptInstall()) return undefined;
    onProgress(
      'no broker found: installing the package rabbitmq-server with apt-get (as root; its service stays off)',
    );
    try {
      await aptInstall('rabbitmq-server');
    } catch (error) {
      onProgress(asError(error).message);
      return undefined;
    }
  }
  onProgress(`starting ${await findRabbitServer()} on free ports`);
  return started('debian', onProgress);
}

/** Starts a node; a failure is told, and leaves the other ways. */
async function started(
  way: 'docker' | 'debian',
  onProgress: (text: string) => void,
): Promise<FoundBroker | undefined> {
  try {
    const node = await (way === 'docker' ? startDockerNode() : startDebianNode());
    onProgress(`RabbitMQ ${node.version} is ready at ${new URL(node.amqpUrl).host}`);
    const stop = async () => node[Symbol.asyncDispose]();
    const { amqpUrl, managementUrl, version } = node;
    return { way, amqpUrl, managementUrl, version, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    onProgress(`RabbitMQ did not start: ${asError(error).message}`);
    return undefined;
  }
}

const NO_BROKER = `No RabbitMQ was found, and none could be started. Any one of these will do:
  - set AMQP_URL to a broker that runs, such as amqp://host:5672
  - start a Docker engine that can run ${RABBITMQ_IMAGE}
  - put rabbitmq-server on the PATH (Debian, Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq)
  - on Debian or Ubuntu, run this again as root: the package is then installed for you`;
