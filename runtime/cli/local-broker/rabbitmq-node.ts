/** What every way of starting a private RabbitMQ has in common: its handle, its ports and the wait until it serves. */
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../errors.ts';

/** A private RabbitMQ on loopback, user guest, password guest. Disposing kills it and deletes its data. */
export interface RabbitNode extends AsyncDisposable {
  /** `amqp://guest:guest@127.0.0.1:port` */
  readonly amqpUrl: string;
  /** Only with {@link NodeOptions.tlsFolder}. */
  readonly amqpsUrl: string | undefined;
  /** `http://guest:guest@127.0.0.1:port` */
  readonly managementUrl: string;
  /** As `3.10.8`. */
  readonly version: string;
  /** Shuts down cleanly. The data stays for {@link start}. */
  stop(): Promise<void>;
  /** kill -9. The data stays for {@link start}. */
  kill(): Promise<void>;
  /** Starts again on the same ports with the same data; resolves when it serves. */
  start(): Promise<void>;
  /** {@link stop}, then {@link start}. */
  restart(): Promise<void>;
  /** Runs `rabbitmqctl` on the node and gives its output. */
  ctl(...args: string[]): Promise<string>;
}

export interface NodeOptions {
  /** Further lines for rabbitmq.conf. */
  config?: string;
  /** Plugins beside management. */
  plugins?: string[];
  /** Holds ca.pem, cert.pem and key.pem; opens an amqps port that asks for a client certificate and takes none too. */
  tlsFolder?: string;
  /** Gives up waiting for the node to serve. Default 60 s. */
  startTimeoutMs?: number;
}

/** What the demo and the tests run as a container. */
export const RABBITMQ_IMAGE = 'rabbitmq:4-management';
export const START_TIMEOUT_MS = 60_000;
export const CREDENTIALS = 'guest:guest';

/** Counts of queues are at most about a second old, not five, so that a demo scales as soon as tasks come. */
export const FRESH_COUNTS = {
  config: `collect_statistics_interval = 1000
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.10 = 1`,
  advanced: '[{rabbit, [{quorum_tick_interval, 1000}]}].\n',
} as const;

/** rabbitmq.conf for the amqps port, with the PEM files as the node sees them. */
export function tlsConfig(listener: string, folder: string): string {
  return `listeners.ssl.1 = ${listener}
ssl_options.cacertfile = ${folder}/ca.pem
ssl_options.certfile = ${folder}/cert.pem
ssl_options.keyfile = ${folder}/key.pem
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
`;
}

/**
 * Picks free loopback ports below the usual ephemeral range, so that no outgoing connection takes one while the
 * node is down for a restart.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = [];
  while (servers.length < count) {
    const server = createServer();
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const taken = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(true));
      server.listen(port, '127.0.0.1', () => resolve(false));
    });
    if (!taken) servers.push({ server, port });
  }
  await Promise.all(servers.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  return servers.map(({ port }) => port);
}

/** Waits until the management API and AMQP both answer; gives RabbitMQ's version. `died` cuts the wait short. */
export async function whenServing(
  ports: { amqp: number; management: number },
  { timeoutMs, died }: { timeoutMs: number; died: AbortSignal },
): Promise<string> {
  const signal = AbortSignal.any([died, AbortSignal.timeout(timeoutMs)]);
  let last: unknown;
  while (!signal.aborted) {
    try {
      const version = await managementVersion(ports.management);
      await amqpGreeting(ports.amqp);
      return version;
    } catch (error) {
      last = error;
      await sleep(50);
    }
  }
  if (died.aborted) throw asError(died.reason);
  throw new Error(`RabbitMQ did not serve within ${timeoutMs} ms: ${asError(last).message}`);
}

const MAX_REASON_LINES = 12;

/** The lines of a node's log that say why it did not start; the first errors matter, the rest is Erlang shutting down. */
export function startupErrors(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const errors = lines.filter((line) => /error|failed|cannot|denied/i.test(line));
  return (errors.length > 0 ? errors.slice(0, MAX_REASON_LINES) : lines.slice(-MAX_REASON_LINES))
    .join('\n')
    .slice(0, 2000);
}

const PROBE_TIMEOUT_MS = 2000;

async function managementVersion(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/api/overview`, {
    // A connection kept alive would hold up the node's shutdown by five seconds.
    headers: { authorization: `Basic ${Buffer.from(CREDENTIALS).toString('base64')}`, connection: 'close' },
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`the management API answered ${response.status}`);
  const overview = (await response.json()) as { rabbitmq_version: string };
  return overview.rabbitmq_version;
}

/** An accepted connection proves nothing where a proxy stands in front (Docker), so wait for the first bytes. */
function amqpGreeting(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('AMQP\0\0\x09\x01'));
    socket.setTimeout(PROBE_TIMEOUT_MS, () => socket.destroy(new Error('no AMQP greeting')));
    socket.once('data', () => {
      resolve();
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the AMQP port closed the connection')));
  });
}
