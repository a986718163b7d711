/** Private RabbitMQ nodes for the demo and the tests: from the machine's rabbitmq-server or as a container. */

export { findRabbitServer, startDebianNode } from './debian-node.ts';
export { type DockerNodeOptions, dockerEngine, RABBITMQ_IMAGE, startDockerNode } from './docker-node.ts';
export type { NodeOptions, RabbitNode } from './rabbitmq-node.ts';
