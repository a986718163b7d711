/** Darkroom's exchanges and queues on a broker: their names, how they are declared, and their state. */

import type { Channel, Options } from 'amqplib';
import { asError, UserError } from '../errors.ts';
import { formatDuration } from '../units.ts';
import type { Broker } from './broker.ts';

export interface Topology {
  prefix: string;
  filters: string[];
  /** One retry queue each, in ms. */
  retryDelays: number[];
  /** Deliveries that may fail without an answer before RabbitMQ dead-letters a task by itself. */
  deliveryLimit: number;
}

/** Every name on the broker. */
export function names(prefix: string) {
  return {
    /** Direct exchange; the routing key is the filter's name. */
    exchange: prefix,
    /** A filter's queue. */
    queue: (filter: string) => `${prefix}.${filter}`,
    /** A fanout exchange and its queue: what is published there comes back to `exchange` after the delay. */
    retry: (delayMs: number) => `${prefix}.retry.${formatDuration(delayMs)}`,
    /** A fanout exchange and its queue. */
    dead: `${prefix}.dead`,
    /** Topic exchange; keys `task.<type>`. */
    events: `${prefix}.events`,
  };
}

/** Would share a name with a queue or exchange of Darkroom's own. */
const RESERVED_FILTERS = ['dead', 'events'];

/**
 * A dead letter waits for a person, however often it is looked at. RabbitMQ 4 sets a limit of 20 where none is
 * given and drops beyond it; it takes -1 for "none", which 3.10 refuses, so this is the largest number.
 */
const NO_DELIVERY_LIMIT = 2_147_483_647;

/**
 * At-least-once dead-lettering needs both arguments; with one missing, RabbitMQ falls back to at-most-once and does
 * not say so. https://www.rabbitmq.com/docs/quorum-queues#dead-lettering
 */
const AT_LEAST_ONCE = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };

/**
 * Declares what is missing and leaves what is there.
 * @throws UserError when something is there with other arguments, or the user may not declare.
 */
export async function declareTopology(channel: Channel, topology: Topology): Promise<void> {
  const at = names(topology.prefix);
  const reserved = topology.filters.find((filter) => RESERVED_FILTERS.includes(filter));
  if (reserved !== undefined)
    throw new UserError(`A filter cannot be called "${reserved}": ${at.queue(reserved)} is taken.`);
  try {
    await exchange(channel, at.dead, 'fanout');
    await exchange(channel, at.exchange, 'direct', { alternateExchange: at.dead });
    await exchange(channel, at.events, 'topic');
    await queue(channel, at.dead, { 'x-delivery-limit': NO_DELIVERY_LIMIT });
    await channel.bindQueue(at.dead, at.dead, '');
    for (const delayMs of topology.retryDelays) await declareRetry(channel, at, delayMs);
    for (const filter of topology.filters) await declareFilter(channel, at, filter, topology.deliveryLimit);
  } catch (error) {
    throw explainDeclareError(asError(error));
  }
}

/** Removes everything of the topology, messages included; what is not there is no error. */
export async function deleteTopology(
  channel: Channel,
  { prefix, filters, retryDelays }: Topology,
): Promise<void> {
  const at = names(prefix);
  const retries = retryDelays.map(at.retry);
  for (const name of [...filters.map(at.queue), ...retries, at.dead]) await channel.deleteQueue(name);
  for (const name of [...retries, at.exchange, at.events, at.dead]) await channel.deleteExchange(name);
}

type Names = ReturnType<typeof names>;

async function declareFilter(channel: Channel, at: Names, filter: string, deliveryLimit: number) {
  await queue(channel, at.queue(filter), {
    'x-delivery-limit': deliveryLimit,
    'x-dead-letter-exchange': at.dead,
    ...AT_LEAST_ONCE,
  });
  await channel.bindQueue(at.queue(filter), at.exchange, filter);
}

/** No x-dead-letter-routing-key: the message returns with the key it came with, which is its filter. */
async function declareRetry(channel: Channel, at: Names, delayMs: number) {
  const name = at.retry(delayMs);
  await exchange(channel, name, 'fanout');
  await queue(channel, name, {
    'x-message-ttl': delayMs,
    'x-dead-letter-exchange': at.exchange,
    ...AT_LEAST_ONCE,
    'x-delivery-limit': NO_DELIVERY_LIMIT,
  });
  await channel.bindQueue(name, name, '');
}

async function queue(channel: Channel, name: string, queueArguments: Record<string, unknown>) {
  await channel.assertQueue(name, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', ...queueArguments },
  });
}

async function exchange(channel: Channel, name: string, type: string, options: Options.AssertExchange = {}) {
  await channel.assertExchange(name, type, { durable: true, ...options });
}

/** "inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received the value '5' … but current is …" */
const INEQUIVALENT =
  /inequivalent arg '([^']+)' for (queue|exchange) '([^']+)' in vhost '([^']+)': (.*?)"?$/s;

function explainDeclareError(error: Error & { code?: number }): Error {
  const [, argument, kind, name, vhost, difference] = INEQUIVALENT.exec(error.message) ?? [];
  if (argument !== undefined) {
    const setting = argument === 'x-delivery-limit' ? ' (DELIVERY_LIMIT sets it)' : '';
    return new UserError(
      `The ${kind} "${name}" in vhost "${vhost}" was declared with another ${argument}${setting}: ${difference}. ` +
        `RabbitMQ cannot change a ${kind} that is there. Either set the old value again, or let the ${kind} run empty, ` +
        `delete it (management page, or rabbitmqctl delete_queue) and declare once more; or use another DARKROOM_PREFIX.`,
      { cause: error },
    );
  }
  if (error.code === 403) {
    return new UserError(
      `This user may not declare Darkroom's queues: ${error.message}. It needs the configure, write and read rights ` +
        `for them (darkroom rights admin prints them), or another user declares them once.`,
      { cause: error },
    );
  }
  return error;
}

export interface QueueState {
  /** Ready to be delivered; those in workers' hands are not counted. */
  messages: number;
  consumers: number;
}

/** @throws when the queue is not there (code 404), which also closes the channel */
export async function inspectQueue(channel: Channel, name: string): Promise<QueueState> {
  const { messageCount, consumerCount } = await channel.checkQueue(name);
  return { messages: messageCount, consumers: consumerCount };
}

/** Every queue of the topology with its state, or undefined where it is not declared. */
export async function inspectTopology(
  broker: Broker,
  { prefix, filters, retryDelays }: Pick<Topology, 'prefix' | 'filters' | 'retryDelays'>,
): Promise<Map<string, QueueState | undefined>> {
  const at = names(prefix);
  const queues = [...filters.map(at.queue), ...retryDelays.map(at.retry), at.dead];
  // A channel each, since asking for a queue that is not there closes the channel.
  const states = await Promise.all(
    queues.map((name) => broker.withChannel((channel) => stateOf(channel, name))),
  );
  return new Map(queues.map((name, index) => [name, states[index]]));
}

async function stateOf(channel: Channel, name: string): Promise<QueueState | undefined> {
  try {
    return await inspectQueue(channel, name);
  } catch (error) {
    if ((error as { code?: number }).code === 404) return undefined;
    throw error;
  }
}
