/** A command's connection to the broker: opened with a clear error when that fails, closed whatever happens. */
import { type Broker, openBroker } from '../amqp/broker.ts';
import { declareTopology, deleteTopology } from '../amqp/topology.ts';
import type { Config } from '../config.ts';
import { asError, UserError } from '../errors.ts';
import { listFunctions } from '../functions.ts';
import { redactUrl } from '../redact.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** A command says itself what went wrong. */
export const SILENT_LOG = { debug() {}, info() {}, warn() {}, error() {} };

/** @throws UserError when the broker cannot be reached */
export async function withBroker<T>(config: Config, use: (broker: Broker) => Promise<T>): Promise<T> {
  const broker = openBroker({ ...config.amqp, name: `darkroom cli ${process.pid}`, log: SILENT_LOG });
  try {
    await broker.ready(AbortSignal.timeout(CONNECT_TIMEOUT_MS)).catch((error: unknown) => {
      throw new UserError(
        `No connection to the broker at ${redactUrl(config.amqp.url)}: ${asError(error).message}\nSet AMQP_URL, or see darkroom doctor.`,
        { cause: error },
      );
    });
    return await use(broker);
  } finally {
    await broker.close();
  }
}

/** Declares all queues and exchanges; what is there already is left as it is. */
export async function declareAll(broker: Broker, config: Config): Promise<void> {
  await broker.withChannel((channel) => declareTopology(channel, topologyOf(config)));
}

/** Removes all queues and exchanges, messages included. */
export async function deleteAll(broker: Broker, config: Config): Promise<void> {
  await broker.withChannel((channel) => deleteTopology(channel, topologyOf(config)));
}

export function topologyOf(config: Config) {
  return {
    prefix: config.prefix,
    filters: listFunctions(config.functionsDir),
    retryDelays: config.retry.delaysMs,
    deliveryLimit: config.retry.deliveryLimit,
  };
}
