/** Finds a RabbitMQ for a demo or a test run: the one that is configured, or one that is started for it. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { asError, UserError } from '../errors.ts';
import { redactUrl } from '../redact.ts';

/** The ways to a broker, in the order that they are tried. */
export const BROKER_WAYS = ['amqp-url', 'docker', 'debian'] as const;
export type BrokerWay = (typeof BROKER_WAYS)[number];

export interface FindBrokerOptions {
  /** Called with what is tried, and with what did not work. */
  onProgress?: (text: string) => void;
  /** A way to try before the others. */
  prefer?: BrokerWay;
  /** Whether the Debian package may be installed when nothing else is found. */
  allowInstall: boolean;
  /** Where AMQP_URL and AMQP_MANAGEMENT_URL are read; default `process.env`. */
  env?: NodeJS.ProcessEnv;
}

export interface FoundBroker extends AsyncDisposable {
  way: BrokerWay;
  amqpUrl: string;
  /** Address of the management API with its credentials; undefined when AMQP_URL is given without one. */
  managementUrl?: string;
  /** Both addresses as Darkroom's variables, for the processes that are to use this broker. */
  env: NodeJS.ProcessEnv;
  /** RabbitMQ's version; undefined for a broker that was running already. */
  version?: string;
  /** Stops what was started, data included. A broker that was running already is left alone. */
  stop(): Promise<void>;
}

/** What each way is given. */
export interface BrokerSearch {
  onProgress: (text: string) => void;
  env: NodeJS.ProcessEnv;
  allowInstall: boolean;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A checkout has it; the container image has not. */
const STARTERS = new URL('./local-broker/start-broker.ts', import.meta.url);

/**
 * Finds or starts a broker. A started one listens on free ports, keeps its data in a temporary folder and stops
 * when this process ends, however it ends.
 * @throws UserError when AMQP_URL is set and does not answer, or when there is no way left
 */
export async function findBroker(options: FindBrokerOptions): Promise<FoundBroker> {
  const onProgress = options.onProgress ?? (() => {});
  const env = options.env ?? process.env;
  const search = { onProgress, env, allowInstall: options.allowInstall };
  const preferred = options.prefer === undefined ? [] : [options.prefer];
  for (const way of new Set([...preferred, ...BROKER_WAYS])) {
    const found = await tryWay(way, search);
    if (found) return found;
  }
  throw new UserError(NO_BROKER);
}

/** @throws UserError where no broker is configured and none can be started */
export function assertBrokerFindable(env: NodeJS.ProcessEnv = process.env): void {
  if (!env.AMQP_URL && !existsSync(fileURLToPath(STARTERS))) throw new UserError(NO_STARTERS);
}

async function tryWay(way: BrokerWay, search: BrokerSearch): Promise<FoundBroker | undefined> {
  if (way === 'amqp-url') return await findConfigured(search);
  assertBrokerFindable({});
  const { startBroker } = await import('./local-broker/start-broker.ts');
  const node = await startBroker(way, search);
  if (node === undefined) return undefined;
  const { amqpUrl, managementUrl, version } = node;
  const stop = async () => node[Symbol.asyncDispose]();
  const env = { AMQP_URL: amqpUrl, AMQP_MANAGEMENT_URL: managementUrl };
  return { way, amqpUrl, managementUrl, env, version, stop, [Symbol.asyncDispose]: stop };
}

async function findConfigured({ env, onProgress }: BrokerSearch): Promise<FoundBroker | undefined> {
  const amqpUrl = env.AMQP_URL;
  if (!amqpUrl) return undefined;
  await assertAnswers(amqpUrl);
  onProgress(`using the broker at ${redactUrl(amqpUrl)} (AMQP_URL)`);
  const stop = async () => {};
  const managementUrl = env.AMQP_MANAGEMENT_URL;
  return {
    way: 'amqp-url',
    amqpUrl,
    managementUrl,
    env: { AMQP_URL: amqpUrl, ...(managementUrl !== undefined && { AMQP_MANAGEMENT_URL: managementUrl }) },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function assertAnswers(amqpUrl: string): Promise<void> {
  if (!URL.canParse(amqpUrl)) throw new UserError('AMQP_URL is not a URL such as amqp://host:5672');
  const { hostname, port, protocol } = new URL(amqpUrl);
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
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

const NO_STARTERS =
  'AMQP_URL is not set, and this image starts no broker of its own. Set AMQP_URL to a RabbitMQ that runs, such as amqp://host:5672; from a checkout of Darkroom a broker is found or started.';

const NO_BROKER = `No RabbitMQ was found, and none could be started. Any one of these will do:
  - set AMQP_URL to a broker that runs, such as amqp://host:5672
  - start a Docker engine that can run the image rabbitmq:4-management
  - put rabbitmq-server on the PATH (Debian, Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq)
  - on Debian or Ubuntu, run this again as root: the package is then installed for you`;
