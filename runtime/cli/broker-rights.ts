/**
 * The least rights on RabbitMQ with which each role can do its part: three patterns over the names of exchanges and queues,
 * and tags for the management API. https://www.rabbitmq.com/docs/access-control
 */

export const ROLES = ['publisher', 'worker', 'admin', 'monitor'] as const;
export type Role = (typeof ROLES)[number];

export interface BrokerRights {
  /** What may be declared and deleted. On RabbitMQ 4, a queue that may not be declared may not be looked at either. */
  configure: string;
  /** What may be published to and bound. */
  write: string;
  /** What may be consumed, purged and bound to. */
  read: string;
  tags: string[];
  /** What the role does, and with which of these. */
  does: string;
}

const NOTHING = '^$';
/** Queues that the broker names for whoever asks for one of its own, such as for replies. */
const OWN_QUEUES = 'amq\\.gen-.+';

/** @param prefix what all names on the broker start with: lower-case letters, digits and dashes, so a pattern as it is */
export function rightsOf(prefix: string): Record<Role, BrokerRights> {
  const everything = `${prefix}(\\..+)?`;
  const filterQueues = `^${prefix}\\.(?!(dead|events)$)[a-z][a-z0-9-]*$`;
  return {
    publisher: {
      configure: `^${OWN_QUEUES}$`,
      write: `^${prefix}$`,
      read: `^${OWN_QUEUES}$`,
      tags: [],
      does: 'Publishes tasks to the exchange, and reads replies from a queue of its own (a direct reply-to needs no right).',
    },
    worker: {
      configure: NOTHING,
      // The default exchange leads to every queue: next steps and replies go through it.
      write: `^(amq\\.default|${prefix}\\.(dead|events|retry\\..+))$`,
      read: filterQueues,
      tags: [],
      does: 'Consumes the queues of filters, and publishes next steps, retries, dead letters, events and replies. Declares nothing.',
    },
    admin: {
      configure: `^(${OWN_QUEUES}|${everything})$`,
      write: `^(amq\\.default|${OWN_QUEUES}|${everything})$`,
      read: `^(${OWN_QUEUES}|${everything})$`,
      tags: [],
      does: 'Declares exchanges and queues, looks at them, replays and purges dead letters, cancels tasks.',
    },
    monitor: {
      configure: NOTHING,
      // A queue shows its length over AMQP to whoever has some right on it, since RabbitMQ 4.2.7. This one allows nothing
      // more: publishing takes a right on an exchange, and none has such a name; binding takes `read` on one as well.
      write: filterQueues,
      read: NOTHING,
      // The smallest tag for the management API, which shows a vhost to whoever has any permission there, however empty.
      tags: ['management'],
      does: 'Reads how many messages wait, from the management API and from the queues: for KEDA, up and recommend.',
    },
  };
}
