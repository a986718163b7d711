/** A queue to which workers reply when a task has ended. */
import type { Broker } from '../amqp/broker.ts';

export class ReplyQueue {
  readonly name: string;
  /** Called when the reply to a task has come, by the task's id. */
  readonly #waiting: Map<string, () => void>;

  /** Opens a queue that belongs to this connection. When the connection breaks, replies are lost, so never rely on one. */
  static async open(broker: Broker): Promise<ReplyQueue> {
    const waiting = new Map<string, () => void>();
    const opened = Promise.withResolvers<string>();
    const forever = new Promise<never>(() => {});
    broker
      .withChannel(async (channel) => {
        const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true });
        const onReply = (id: string) => waiting.get(id)?.();
        await channel.consume(queue, (message) => onReply(String(message?.properties.correlationId)), {
          noAck: true,
        });
        opened.resolve(queue);
        await forever;
      })
      .catch(opened.reject);
    return new ReplyQueue(await opened.promise, waiting);
  }

  constructor(name: string, waiting: Map<string, () => void>) {
    this.name = name;
    this.#waiting = waiting;
  }

  /** Resolves when the reply to this task comes, from now on. */
  reply(id: string): Promise<void> {
    const reply = Promise.withResolvers<void>();
    this.#waiting.set(id, reply.resolve);
    return reply.promise;
  }

  forget(id: string): void {
    this.#waiting.delete(id);
  }
}
