/** What `darkroom doctor` looks at on the broker: connection, version, queues and rights. */
import { type Broker, openBroker } from '../../amqp/broker.ts';
import { inspectTopology, names } from '../../amqp/topology.ts';
import type { Config } from '../../config.ts';
import { asError } from '../../errors.ts';
import { redactUrl } from '../../redact.ts';
import { ManagementClient } from '../management.ts';
import { SILENT_LOG, topologyOf } from '../session.ts';
import type { Check } from './check.ts';

const CONNECT_TIMEOUT_MS = 5_000;

export async function brokerChecks(config: Config): Promise<Check[]> {
  const broker = openBroker({ ...config.amqp, name: 'darkroom doctor', log: SILENT_LOG });
  try {
    await broker.ready(AbortSignal.timeout(CONNECT_TIMEOUT_MS));
    // Before anything that the broker may refuse, and close a channel for.
    const user = userCheck(config, broker);
    return [
      connectionCheck(config, broker),
      await managementCheck(config),
      await queuesCheck(config, broker),
      await publishingCheck(config, broker),
      user,
      repliesCheck(config),
    ];
  } catch (error) {
    return [
      {
        name: 'broker',
        verdict: 'failed',
        found: `${redactUrl(config.amqp.url)}: ${asError(error).message}`,
        fix: 'AMQP_URL says where: is it running, are user, password and vhost right? npm run demo starts one of its own',
      },
    ];
  } finally {
    await broker.close();
  }
}

function connectionCheck(config: Config, broker: Broker): Check {
  const { blocked } = broker.state;
  if (blocked === undefined) return { name: 'broker', verdict: 'ok', found: redactUrl(config.amqp.url) };
  return {
    name: 'broker',
    verdict: 'warning',
    found: `connected, but it takes no messages: ${blocked}`,
    fix: 'free memory or disk on the broker',
  };
}

async function managementCheck(config: Config): Promise<Check> {
  try {
    const { rabbitmqVersion } = await new ManagementClient(config.management).overview();
    const [major = 0, minor = 0] = rabbitmqVersion.split('.').map(Number);
    const isSupported = major > 3 || (major === 3 && minor >= 10);
    if (isSupported) return { name: 'RabbitMQ', verdict: 'ok', found: rabbitmqVersion };
    const fix = 'quorum queues with time to live need RabbitMQ 3.10 or newer';
    return { name: 'RabbitMQ', verdict: 'failed', found: rabbitmqVersion, fix };
  } catch (error) {
    return {
      name: 'RabbitMQ',
      verdict: 'warning',
      found: `the management API does not answer: ${asError(error).message}`,
      fix: 'only up, recommend and KEDA need it; AMQP_MANAGEMENT_URL says where it is',
    };
  }
}

async function queuesCheck(config: Config, broker: Broker): Promise<Check> {
  try {
    const states = [...(await inspectTopology(broker, topologyOf(config)))];
    const missing = states.filter(([, state]) => state === undefined).map(([queue]) => queue);
    if (missing.length === 0) return { name: 'queues', verdict: 'ok', found: 'all declared' };
    const fix = 'darkroom queues declare';
    return { name: 'queues', verdict: 'failed', found: `not there: ${missing.join(', ')}`, fix };
  } catch (error) {
    const isRefused = (error as { code?: number }).code === 403;
    return {
      name: 'queues',
      // A worker can do its part without this right.
      verdict: isRefused ? 'warning' : 'failed',
      found: `cannot be looked at: ${asError(error).message}`,
      ...(isRefused && { fix: 'on RabbitMQ 4 a user needs the right to configure a queue to look at it' }),
    };
  }
}

/** A message to the events exchange that no queue is bound for reaches nobody, and proves the right to write. */
async function publishingCheck(config: Config, broker: Broker): Promise<Check> {
  try {
    await broker.publish({
      exchange: names(config.prefix).events,
      routingKey: 'doctor',
      body: Buffer.from('{}'),
      signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS),
    });
    return { name: 'rights', verdict: 'ok', found: 'may publish' };
  } catch (error) {
    return {
      name: 'rights',
      verdict: 'failed',
      found: `cannot publish: ${asError(error).message}`,
      fix: 'declare the queues first; a worker’s user needs write on the exchanges and read on its queue',
    };
  }
}

/** Where a task stands is believed of users of the installation only; a worker that cannot say who it is believes itself no more. */
function userCheck({ trustedUsers }: Config, broker: Broker): Check {
  const name = 'user';
  const { user } = broker.state;
  if (user === undefined)
    return {
      name,
      verdict: 'failed',
      found:
        'the broker does not say which user this is, so no worker would believe where a task of ours stands',
      fix: 'take the tag impersonator from the user, or log in with a password',
    };
  const others = trustedUsers.filter((trusted) => trusted !== user);
  const alike = others.length > 0 ? ` and ${others.map((other) => `"${other}"`).join(', ')}` : '';
  const doubt = trustedUsers.includes(user)
    ? ''
    : `; workers of another user believe "${user}" when their TRUSTED_USERS names it`;
  return {
    name,
    verdict: 'ok',
    found: `"${user}" to the broker; a worker that logs in as this user believes "${user}"${alike} where a task stands${doubt}`,
  };
}

function repliesCheck({ prefix, replyQueues }: Config): Check {
  const name = 'replies';
  const found = `may go to ${replyQueues.join(', ')}, and never to Darkroom's own queues`;
  if (replyQueues.includes('*'))
    return {
      name,
      verdict: 'warning',
      found:
        'may go to any queue: whoever may publish tasks can make a worker write into queues of other programs',
      fix: 'name the queues for replies in REPLY_QUEUES, such as amq.*',
    };
  const own = replyQueues.find((pattern) => pattern === prefix || pattern.startsWith(`${prefix}.`));
  if (own === undefined) return { name, verdict: 'ok', found };
  return { name, verdict: 'warning', found, fix: `take ${own} from REPLY_QUEUES: it does nothing` };
}
