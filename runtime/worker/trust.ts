/**
 * What of a message is believed. A right to publish is a right to ask for work, and for nothing else: where a task stands
 * is believed only from users of the installation itself, whose name RabbitMQ has checked, and a reply goes only to
 * queues that are meant for replies.
 */
import type { Logger } from 'pino';
import type { Delivery } from '../amqp/broker.ts';
import { doubtsOf, saysWhereItStands, withoutHopHeaders } from '../task/hop.ts';
import type { DeliveryContext } from './delivery-context.ts';

export interface TrustOptions {
  prefix: string;
  /**
   * Whether messages of this user are our own. RabbitMQ refuses a message whose `user_id` is not its sender's, so the
   * property can be believed where it is set. https://www.rabbitmq.com/docs/validated-user-id
   */
  isOurUser: (userId: string) => boolean;
  /** Names of queues to which replies may go; `*` stands for any characters. */
  replyQueues: string[];
  log: Logger;
}

export class Trust {
  readonly #options: TrustOptions;
  readonly #replyQueues: RegExp[];

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#replyQueues = options.replyQueues.map(patternOf);
  }

  /** The delivery without what its sender has no right to say. */
  admit(delivery: Delivery): DeliveryContext['delivery'] {
    const { body, properties, redelivered, receivedAtMs } = delivery;
    const { replyTo } = properties;
    const isOurs = this.#isOurs(properties.userId);
    const headers = isOurs ? delivery.headers : this.#withoutClaims(delivery);
    const admitted = replyTo === undefined || this.#mayReply(String(replyTo));
    return {
      body,
      properties: admitted ? properties : { ...properties, replyTo: undefined },
      headers,
      redelivered,
      receivedAtMs,
      ...(!isOurs && { doubts: doubtsOf(delivery.headers) }),
    };
  }

  #isOurs(userId: unknown): boolean {
    return typeof userId === 'string' && this.#options.isOurUser(userId);
  }

  #withoutClaims({ headers, properties }: Delivery): Record<string, unknown> {
    const kept = withoutHopHeaders(headers);
    if (saysWhereItStands(headers))
      this.#options.log.warn(
        { user: properties.userId ?? null, message_id: properties.messageId },
        'a message that is not our own says where its task stands; it is taken for a new task (TRUSTED_USERS)',
      );
    return kept;
  }

  #mayReply(queue: string): boolean {
    const { prefix, log } = this.#options;
    const isOwn = queue === prefix || queue.startsWith(`${prefix}.`);
    if (!isOwn && this.#replyQueues.some((pattern) => pattern.test(queue))) return true;
    log.warn({ reply_to: queue }, 'no reply is sent: the queue is not one for replies (REPLY_QUEUES)');
    return false;
  }
}

/** `*` stands for any characters, everything else for itself. */
function patternOf(text: string): RegExp {
  const literal = text.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`, 's');
}
