/** Starts a private broker: as a container, or from the machine's rabbitmq-server. */
import { asError } from '../../errors.ts';
import type { BrokerSearch, BrokerWay } from '../broker.ts';
import { aptInstall, canAptInstall } from './apt.ts';
import {
  dockerEngine,
  findRabbitServer,
  RABBITMQ_IMAGE,
  type RabbitNode,
  startDebianNode,
  startDockerNode,
} from './start-rabbitmq.ts';

const PULL_TIMEOUT_MS = 90_000;

/** Undefined, with the reason reported, where this way does not work. */
export async function startBroker(
  way: Exclude<BrokerWay, 'amqp-url'>,
  search: BrokerSearch,
): Promise<RabbitNode | undefined> {
  return way === 'docker' ? await startContainer(search) : await startServer(search);
}

async function startContainer({ onProgress }: BrokerSearch): Promise<RabbitNode | undefined> {
  const engine = await dockerEngine();
  if (engine === 'absent') return undefined;
  if (engine === 'not-installed') {
    onProgress(
      'testcontainers is not installed (npm ci --omit=dev leaves it out), so no container is started; going on without it',
    );
    return undefined;
  }
  if (engine === 'needs-pull' && !(await pulled(onProgress))) return undefined;
  onProgress(`starting RabbitMQ in a container (${RABBITMQ_IMAGE})`);
  return await toldStart(startDockerNode, onProgress);
}

async function pulled(onProgress: (text: string) => void): Promise<boolean> {
  onProgress(`pulling ${RABBITMQ_IMAGE}`);
  const { pullImage } = await import('./docker-engine.ts');
  try {
    await pullImage(RABBITMQ_IMAGE, PULL_TIMEOUT_MS);
    return true;
  } catch (error) {
    const reason = asError(error).message;
    onProgress(
      `Docker runs here, but ${RABBITMQ_IMAGE} could not be pulled (${reason}); going on without it`,
    );
    return false;
  }
}

async function startServer({ onProgress, allowInstall }: BrokerSearch): Promise<RabbitNode | undefined> {
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
  return await toldStart(startDebianNode, onProgress);
}

async function toldStart(
  start: () => Promise<RabbitNode>,
  onProgress: (text: string) => void,
): Promise<RabbitNode | undefined> {
  try {
    const node = await start();
    onProgress(`RabbitMQ ${node.version} is ready at ${new URL(node.amqpUrl).host}`);
    return node;
  } catch (error) {
    onProgress(`RabbitMQ did not start: ${asError(error).message}`);
    return undefined;
  }
}
