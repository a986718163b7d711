/** A small client for RabbitMQ's management HTTP API: what AMQP itself does not tell. */

import { readFile } from 'node:fs/promises';
import { asError } from '../errors.ts';

export interface ManagementOptions {
  amqpUrl: string;
  /** Default: the AMQP URL's host and credentials at port 15672, over http or, for amqps, https at 15671. */
  managementUrl?: string;
  usernameFile?: string;
  passwordFile?: string;
  /** Per request. Default 5 s. */
  timeoutMs?: number;
}

export interface Overview {
  /** As `3.10.8`. */
  rabbitmqVersion: string;
  erlangVersion: string;
  node: string;
}

/** Counts are RabbitMQ's own samples, five to ten seconds old; rates are messages per second. */
export interface QueueReport {
  name: string;
  type: string;
  ready: number;
  unacked: number;
  consumers: number;
  memoryBytes: number;
  publishRate: number;
  deliverRate: number;
  ackRate: number;
  /** Classic queues only: when the oldest message was published, in seconds since 1970. */
  headMessageTimestamp: number | undefined;
  arguments: Record<string, unknown>;
}

export interface ConsumerReport {
  queue: string;
  consumerTag: string;
  prefetch: number;
  active: boolean;
  /** `host:port -> host:port` of its connection. */
  connection: string;
}

export interface Management {
  overview(): Promise<Overview>;
  /** The queues of the AMQP URL's vhost. */
  queues(): Promise<QueueReport[]>;
  /** @throws ManagementError with status 404 when it is not there */
  queue(name: string): Promise<QueueReport>;
  consumers(): Promise<ConsumerReport[]>;
}

/** The API refused or could not be reached; `status` is the HTTP status, if there was an answer. */
export class ManagementError extends Error {
  override readonly name = 'ManagementError';
  readonly status: number | undefined;

  constructor(message: string, { status, ...options }: ErrorOptions & { status?: number } = {}) {
    super(message, options);
    this.status = status;
  }
}

const TIMEOUT_MS = 5000;

export function managementClient(options: ManagementOptions): Management {
  const base = baseUrl(options);
  const vhost = encodeURIComponent(decodeURIComponent(new URL(options.amqpUrl).pathname.slice(1)) || '/');

  async function get(path: string): Promise<unknown> {
    const place = `the management API at ${base.origin}`;
    let response: Response;
    try {
      const signal = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
      const headers = {
        authorization: `Basic ${await basicCredentials(base, options)}`,
        accept: 'application/json',
      };
      response = await fetch(`${base.origin}${base.pathname.replace(/\/$/, '')}/api/${path}`, {
        headers,
        signal,
      });
      if (response.ok) return await response.json();
    } catch (error) {
      throw new ManagementError(`${place} did not answer: ${reasonOf(asError(error))}`, { cause: error });
    }
    await response.body?.cancel();
    throw new ManagementError(`${place} ${refusal(response.status, path)}`, { status: response.status });
  }

  return {
    async overview() {
      const found = (await get('overview')) as Record<string, string>;
      const { rabbitmq_version = '', erlang_version = '', node = '' } = found;
      return { rabbitmqVersion: rabbitmq_version, erlangVersion: erlang_version, node };
    },
    async queues() {
      return ((await get(`queues/${vhost}`)) as RawQueue[]).map(toQueueReport);
    },
    async queue(name) {
      return toQueueReport((await get(`queues/${vhost}/${encodeURIComponent(name)}`)) as RawQueue);
    },
    async consumers() {
      return ((await get(`consumers/${vhost}`)) as RawConsumer[]).map((found) => ({
        queue: found.queue.name,
        consumerTag: found.consumer_tag,
        prefetch: found.prefetch_count,
        active: found.active !== false,
        connection: found.channel_details?.connection_name ?? '',
      }));
    },
  };
}

interface RawQueue {
  name: string;
  type?: string;
  messages_ready?: number;
  messages_unacknowledged?: number;
  consumers?: number;
  memory?: number;
  message_stats?: Record<string, { rate?: number } | number | undefined>;
  head_message_timestamp?: number | '' | null;
  arguments?: Record<string, unknown>;
}

interface RawConsumer {
  queue: { name: string };
  consumer_tag: string;
  prefetch_count: number;
  active?: boolean;
  channel_details?: { connection_name?: string };
}

/** A queue that is a moment old has no counts yet. */
function toQueueReport(found: RawQueue): QueueReport {
  return {
    name: found.name,
    type: found.type ?? 'classic',
    ready: found.messages_ready ?? 0,
    unacked: found.messages_unacknowledged ?? 0,
    consumers: found.consumers ?? 0,
    memoryBytes: found.memory ?? 0,
    publishRate: rateOf(found, 'publish'),
    deliverRate: rateOf(found, 'deliver_get'),
    ackRate: rateOf(found, 'ack'),
    headMessageTimestamp: found.head_message_timestamp || undefined,
    arguments: found.arguments ?? {},
  };
}

function rateOf({ message_stats: stats }: RawQueue, kind: string): number {
  const details = stats?.[`${kind}_details`];
  return typeof details === 'object' ? (details.rate ?? 0) : 0;
}

function baseUrl({ amqpUrl, managementUrl }: ManagementOptions): URL {
  const amqp = new URL(amqpUrl);
  const secure = amqp.protocol === 'amqps:';
  const url = new URL(
    managementUrl ?? `${secure ? 'https' : 'http'}://${amqp.hostname}:${secure ? 15671 : 15672}`,
  );
  if (url.username !== '' || url.password !== '') return url;
  url.username = amqp.username || 'guest';
  url.password = amqp.password || (amqp.username === '' ? 'guest' : '');
  return url;
}

async function basicCredentials(
  base: URL,
  { usernameFile, passwordFile }: ManagementOptions,
): Promise<string> {
  const username = usernameFile
    ? (await readFile(usernameFile, 'utf8')).trimEnd()
    : decodeURIComponent(base.username);
  const password = passwordFile
    ? (await readFile(passwordFile, 'utf8')).trimEnd()
    : decodeURIComponent(base.password);
  return Buffer.from(`${username}:${password}`).toString('base64');
}

function refusal(status: number, path: string): string {
  if (status === 401)
    return 'refused the user name or password, or the user lacks the tag "management" (401)';
  if (status === 404) return `knows no ${decodeURIComponent(path).replace('///', '/')} (404)`;
  return `answered ${status}`;
}

/** fetch says only "fetch failed"; what failed is in its cause. */
function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return 'timeout';
  return error.cause instanceof Error
    ? error.cause.message || String((error.cause as { code?: string }).code)
    : error.message;
}
