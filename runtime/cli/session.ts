/** A command's connection to the broker: opened with a clear error when that fails, closed whatever happens. */
import {
  type Broker,
  NotConnected,
  openBroker,
  PublishNacked,
  PublishRefused,
  PublishUnknown,
  Unroutable,
} from '../amqp/broker.ts';
import { declareTopology, deleteTopology } from '../amqp/topology.ts';
import type { Config } from '../config.ts';
import { asError, Retryable, TaskFailure, UserError } from '../errors.ts';
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
  } catch (error) {
    throw explained(error, broker);
  } finally {
    await broker.close();
  }
}

/** What the broker refuses, and a connection that is lost, are no faults of Darkroom. */
function explained(error: unknown, { state }: Broker): unknown {
  if (error instanceof UserError || error instanceof TaskFailure) return error;
  const { message, code, cause } = asError(error) as Error & { code?: unknown };
  switch (code ?? (cause as { code?: unknown } | undefined)?.code) {
    case 404:
      return new UserError(`${message}\nDeclare what is missing with: darkroom queues declare`, {
        cause: error,
      });
    case 403:
      return new UserError(
        `${message}\nThe rights of the user "${state.user}" do not suffice; darkroom rights says which are needed.`,
        { cause: error },
      );
  }
  if (state.publish === 'connected' && !BROKER_FAILURES.some((failure) => error instanceof failure))
    return error;
  return new Retryable(`The broker did not do it: ${message}`, { failureType: 'network', cause: error });
}

const BROKER_FAILURES = [NotConnected, PublishNacked, PublishRefused, PublishUnknown, Unroutable];

/** Whether a user's word on where a task stands is believed: our own, and those that TRUSTED_USERS names. */
export function ourUsers({ trustedUsers }: Config, broker: Broker): (user: string) => boolean {
  return (user) => user === broker.state.user || trustedUsers.includes(user);
}

/** Declares all queues and exchanges; what is there already is left as it is. */
export async function declareAll(broker: Broker, config: Config): Promise<void> {
  await broker.withChannel((channel) => declareTopology(channel, topologyOf(config)));
}

/** The same for a user who may not: somebody else has declared them. */
export async function declareIfAllowed(broker: Broker, config: Config): Promise<void> {
  try {
    await declareAll(broker, config);
  } catch (error) {
    if ((asError(error).cause as { code?: number } | undefined)?.code !== 403) throw error;
  }
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
