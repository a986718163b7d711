/** A small client of RabbitMQ's management HTTP API, for what AMQP itself does not tell. */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { getCACertificates } from 'node:tls';
import { type LoginFiles, readLogin, readTlsSecrets, type TlsFiles } from '../amqp/connection-files.ts';
import { asError } from '../errors.ts';

/** The files are those of the AMQP connection: its login, and for https its certificates. */
export interface ManagementOptions extends LoginFiles, TlsFiles {
  amqpUrl: string;
  /**
   * Default: the AMQP URL's host at port 15672, over http or, for amqps, https at 15671. Credentials in it come first,
   * then those of the files, then those of the AMQP URL.
   */
  managementUrl?: string;
  /** Per request. Default 5 s. */
  timeoutMs?: number;
}

/** Counts are RabbitMQ's own samples, five to ten seconds old; rates are messages per second. */
export interface QueueReport {
  name: string;
  type: string;
  ready: number;
  unacked: number;
  consumers: number;
  publishRate: number;
  ackRate: number;
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

export class ManagementClient {
  readonly #options: ManagementOptions;
  readonly #base: URL;
  readonly #vhost: string;

  constructor(options: ManagementOptions) {
    this.#options = options;
    this.#base = baseUrl(options);
    this.#vhost = encodeURIComponent(decodeURIComponent(new URL(options.amqpUrl).pathname.slice(1)) || '/');
  }

  /** `rabbitmqVersion` is as `3.10.8`. */
  async overview(): Promise<{ rabbitmqVersion: string }> {
    const { rabbitmq_version = '' } = (await this.#get('overview')) as { rabbitmq_version?: string };
    return { rabbitmqVersion: rabbitmq_version };
  }

  /** The queues of the AMQP URL's vhost. */
  async queues(): Promise<QueueReport[]> {
    return ((await this.#get(`queues/${this.#vhost}`)) as RawQueue[]).map(toQueueReport);
  }

  /** @throws ManagementError with status 404 when it is not there */
  async queue(name: string): Promise<QueueReport> {
    const found = await this.#get(`queues/${this.#vhost}/${encodeURIComponent(name)}`);
    return toQueueReport(found as RawQueue);
  }

  async consumers(): Promise<ConsumerReport[]> {
    return ((await this.#get(`consumers/${this.#vhost}`)) as RawConsumer[]).map(toConsumerReport);
  }

  async #get(path: string): Promise<unknown> {
    const place = `the management API at ${this.#base.origin}`;
    const signal = AbortSignal.timeout(this.#options.timeoutMs ?? TIMEOUT_MS);
    let status: number;
    try {
      const response = await this.#request(path, signal);
      status = response.statusCode ?? 0;
      const body = await text(response);
      if (status >= 200 && status < 300) return JSON.parse(body);
    } catch (error) {
      const reason = signal.aborted ? 'timeout' : reasonOf(asError(error));
      throw new ManagementError(`${place} did not answer: ${reason}`, { cause: error });
    }
    throw new ManagementError(`${place} ${refusal(status, path)}`, { status });
  }

  /** Not by fetch, which takes no certificates. */
  async #request(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { origin, pathname, protocol } = this.#base;
    const options = { auth: await this.#login(), headers: { accept: 'application/json' }, signal };
    const tlsOptions = protocol === 'https:' ? await this.#tlsOptions() : undefined;
    const url = `${origin}${pathname.replace(/\/$/, '')}/api/${path}`;
    return new Promise((resolve, reject) => {
      const request =
        tlsOptions === undefined
          ? httpRequest(url, options, resolve)
          : httpsRequest(url, { ...options, ...tlsOptions }, resolve);
      request.once('error', reject).end();
    });
  }

  /** `user:password` */
  async #login(): Promise<string> {
    const amqp = new URL(this.#options.amqpUrl);
    const isOwn = this.#base.username !== '' || this.#base.password !== '';
    const fromUrl = isOwn ? this.#base : amqp;
    const fromFiles = isOwn ? undefined : await readLogin(this.#options);
    const isGuest = fromUrl.username === '' && fromUrl.password === '';
    const username = fromFiles?.username ?? (isGuest ? 'guest' : decodeURIComponent(fromUrl.username));
    const password = fromFiles?.password ?? (isGuest ? 'guest' : decodeURIComponent(fromUrl.password));
    return `${username}:${password}`;
  }

  /** The private authority is trusted beside the public ones: a proxy before the API may have its own certificate. */
  async #tlsOptions() {
    const { ca, ...client } = await readTlsSecrets(this.#options);
    return { ...client, ...(ca !== undefined && { ca: [...getCACertificates('default'), ca] }) };
  }
}

interface RawQueue {
  name: string;
  type?: string;
  messages_ready?: number;
  messages_unacknowledged?: number;
  consumers?: number;
  message_stats?: Record<string, { rate?: number } | number | undefined>;
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
    publishRate: rateOf(found, 'publish'),
    ackRate: rateOf(found, 'ack'),
    arguments: found.arguments ?? {},
  };
}

function toConsumerReport(found: RawConsumer): ConsumerReport {
  return {
    queue: found.queue.name,
    consumerTag: found.consumer_tag,
    prefetch: found.prefetch_count,
    active: found.active !== false,
    connection: found.channel_details?.connection_name ?? '',
  };
}

function rateOf({ message_stats: stats }: RawQueue, kind: string): number {
  const details = stats?.[`${kind}_details`];
  return typeof details === 'object' ? (details.rate ?? 0) : 0;
}

function baseUrl({ amqpUrl, managementUrl }: ManagementOptions): URL {
  if (managementUrl !== undefined) return new URL(managementUrl);
  const { protocol, hostname } = new URL(amqpUrl);
  return new URL(protocol === 'amqps:' ? `https://${hostname}:15671` : `http://${hostname}:15672`);
}

function refusal(status: number, path: string): string {
  if (status === 401)
    return 'refused the user name or password, or the user lacks the tag "management" (401)';
  if (status === 404) return `knows no ${decodeURIComponent(path).replace('///', '/')} (404)`;
  return `answered ${status}`;
}

/** Where every address of a host fails, the error has only a code. */
function reasonOf({ message, code }: Error & { code?: string }): string {
  return message || String(code);
}
