/** The user that RabbitMQ knows us as: the only name that it accepts in our `user_id`, and that others can trust. */

import type { ChannelModel } from 'amqplib';

/** No user is called so. */
const NOBODY = '?';
const ANSWER = /user_id property set to '.*' but authenticated user was '(.*?)'/s;

/** The user that a refusal names. */
export function authenticatedUserIn({ message }: Error): string | undefined {
  return ANSWER.exec(message)?.[1];
}

/**
 * The user that the broker made of a client certificate. It says so when it refuses a message in another's name; the
 * message names no queue, so nobody gets it.
 * @returns undefined when the broker does not say, as for a user that may use any name (tag `impersonator`)
 */
export async function askAuthenticatedUser(model: ChannelModel): Promise<string | undefined> {
  // Whoever uses the connection has a listener of its own.
  model.on('error', () => {});
  const channel = await model.createChannel();
  const refused = new Promise<string | undefined>((resolve) => {
    channel.on('error', (error: Error) => resolve(authenticatedUserIn(error)));
  });
  channel.publish('', '', Buffer.alloc(0), { userId: NOBODY });
  const notRefused = channel.prefetch(1).then(async () => {
    await channel.close();
    return undefined;
  });
  return await Promise.race([refused, notRefused.catch(() => refused)]);
}
