/** Private RabbitMQ nodes for the demo and the tests: from the machine's rabbitmq-server or as a container. */
import { DebianNode } from './debian-node.ts';
import { type NodeOptions, RABBITMQ_IMAGE, type RabbitNode } from './rabbitmq-node.ts';

export { findRabbitServer } from './debian-node.ts';
export { type NodeOptions, RABBITMQ_IMAGE, type RabbitNode } from './rabbitmq-node.ts';

/** From the rabbitmq-server on this machine. */
export async function startDebianNode(options: NodeOptions = {}): Promise<RabbitNode> {
  return await DebianNode.start(options);
}

/** As a container of {@link RABBITMQ_IMAGE}. */
export async function startDockerNode(options: NodeOptions = {}): Promise<RabbitNode> {
  const { DockerNode } = await import('./docker-node.ts');
  return await DockerNode.start(options);
}

/**
 * Whether a Docker engine answers, with the image at hand (`ready`) or without (`needs-pull`). testcontainers is a
 * development dependency, and takes a while to load: a production install is `not-installed`.
 */
export async function dockerEngine(
  image = RABBITMQ_IMAGE,
): Promise<'ready' | 'needs-pull' | 'absent' | 'not-installed'> {
  try {
    const { engineState } = await import('./docker-engine.ts');
    return await engineState(image);
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return 'not-installed';
    throw error;
  }
}
