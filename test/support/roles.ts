/** The users that `darkroom rights` makes on a broker, and what each of them may not do. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Channel, type ConfirmChannel, connect } from 'amqplib';
import type { RabbitNode } from '../../runtime/cli/local-broker/start-rabbitmq.ts';
import { runDarkroom } from './run-program.ts';

export const ROLE_PASSWORD = 'for-this-test';

/** Runs what is printed, as a shell understands it. */
export async function giveRights(node: RabbitNode, prefix: string): Promise<void> {
  const { stdout } = await runDarkroom(['rights'], { ...process.env, DARKROOM_PREFIX: prefix, AMQP_URL: '' });
  const shell = `rabbitmqctl() { printf '%s\\t' "$@"; echo; }\n${stdout}`;
  const { stdout: words } = await promisify(execFile)('sh', ['-c', shell]);
  for (const line of words.split('\n').filter(Boolean)) {
    const command = line.split('\t').slice(0, -1);
    await node.ctl(...command, ...(command[0] === 'add_user' ? [ROLE_PASSWORD] : []));
  }
}

export function urlOf(node: RabbitNode, prefix: string, role: string): string {
  const url = new URL(node.amqpUrl);
  [url.username, url.password] = [`${prefix}-${role}`, ROLE_PASSWORD];
  return url.href;
}

/** What the broker answers to an operation: its error code, or nothing when it does it. */
export async function answer(
  url: string,
  operation: (channel: ConfirmChannel) => unknown,
): Promise<number | undefined> {
  const connection = await connect(url);
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  const closed = new Promise<number>((resolve) =>
    channel.on('error', (error: Error & { code: number }) => resolve(error.code)),
  );
  const done = (async () => {
    await operation(channel);
    await channel.waitForConfirms();
    return undefined;
  })();
  // A refused operation fails, too, and knows less.
  done.catch(() => {});
  const code = await Promise.race([closed, done.catch(() => closed)]);
  await connection.close().catch(() => {});
  return code;
}

const MESSAGE = Buffer.from('{}');
const sendTo = (exchange: string, key: string) => (channel: ConfirmChannel) =>
  void channel.publish(exchange, key, MESSAGE);
const get = (queue: string) => (channel: Channel) => channel.get(queue);
const declare = (queue: string) => (channel: Channel) => channel.assertQueue(queue);
const remove = (queue: string) => (channel: Channel) => channel.deleteQueue(queue);
const purge = (queue: string) => (channel: Channel) => channel.purgeQueue(queue);
const bind = (queue: string, exchange: string) => (channel: Channel) =>
  channel.bindQueue(queue, exchange, '#');
const exchangeNamed = (exchange: string) => (channel: Channel) => channel.assertExchange(exchange, 'fanout');

type Refused = [role: string, what: string, operation: (channel: ConfirmChannel) => unknown];
/** What each role may not do; `<prefix>-two` is another installation on the same broker. */
export function refusedTo(prefix: string): Refused[] {
  return [
    ['publisher', 'write past the exchange into a queue', sendTo('', `${prefix}.flip`)],
    ['publisher', 'write dead letters', sendTo(`${prefix}.dead`, '')],
    ['publisher', 'write past the exchange into the dead letters', sendTo('', `${prefix}.dead`)],
    ['publisher', 'tell events', sendTo(`${prefix}.events`, 'task.completed')],
    ['publisher', 'write into a retry queue', sendTo(`${prefix}.retry.200ms`, 'flip')],
    ['publisher', 'write to an exchange of the broker', sendTo('amq.topic', 'x')],
    ['publisher', 'read tasks', get(`${prefix}.flip`)],
    ['publisher', 'read dead letters', get(`${prefix}.dead`)],
    ['publisher', 'purge tasks', purge(`${prefix}.flip`)],
    ['publisher', 'declare a queue', declare(`${prefix}.mine`)],
    ['publisher', 'delete a queue', remove(`${prefix}.flip`)],
    ['publisher', 'declare an exchange', exchangeNamed(`${prefix}.mine`)],
    [
      'publisher',
      'hear events',
      async (channel) => bind((await channel.assertQueue('')).queue, `${prefix}.events`)(channel),
    ],
    ['worker', 'declare a queue', declare(`${prefix}.mine`)],
    ['worker', 'declare a queue of its own', declare('')],
    ['worker', 'delete a queue', remove(`${prefix}.flip`)],
    ['worker', 'delete the dead letters', remove(`${prefix}.dead`)],
    ['worker', 'read dead letters', get(`${prefix}.dead`)],
    ['worker', 'purge dead letters', purge(`${prefix}.dead`)],
    ['worker', 'read retries', get(`${prefix}.retry.200ms`)],
    ['worker', 'read another installation’s queue', get(`${prefix}-two.flip`)],
    ['worker', 'bind its queue to events', bind(`${prefix}.flip`, `${prefix}.events`)],
    ['worker', 'write to another installation’s exchange', sendTo(`${prefix}-two`, 'flip')],
    ['worker', 'write to an exchange of the broker', sendTo('amq.topic', 'x')],
    ['admin', 'declare another’s queue', declare(`${prefix}-two.mine`)],
    ['admin', 'delete another’s queue', remove(`${prefix}-two.flip`)],
    ['admin', 'read another’s queue', get(`${prefix}-two.flip`)],
    ['admin', 'write to another’s exchange', sendTo(`${prefix}-two`, 'flip')],
    ['admin', 'write to an exchange of the broker', sendTo('amq.topic', 'x')],
    ['monitor', 'write to the exchange', sendTo(prefix, 'flip')],
    ['monitor', 'write into a queue', sendTo('', `${prefix}.flip`)],
    ['monitor', 'read tasks', get(`${prefix}.flip`)],
    ['monitor', 'declare a queue', declare(`${prefix}.mine`)],
    ['monitor', 'declare a queue of its own', declare('')],
    ['monitor', 'purge tasks', purge(`${prefix}.flip`)],
    ['monitor', 'delete a queue', remove(`${prefix}.flip`)],
    ['monitor', 'lead events into a queue', bind(`${prefix}.flip`, `${prefix}.events`)],
  ];
}
