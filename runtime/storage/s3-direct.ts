/**
 * The short way to an object: one signed request, without the layers of the AWS SDK, which cost 1 ms of processor time a
 * request and 5 ms for a photo of 3 MB: a fifth of what a task needs for all its work.
 *
 * The SDK says where the bucket is, who asks, and how that is signed. Whatever does not simply succeed is left to it,
 * with its retries, its corrections of clocks and regions, and its errors.
 */
import { createHash } from 'node:crypto';
import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { withOneBuffer } from './one-buffer-agent.ts';
import { CONNECT_TIMEOUT_MS } from './s3-connection.ts';

/**
 * A larger body is not hashed for the signature over TLS, nor where it carries a checksum of its own: a checksum is enough
 * against accidents, and five times as fast.
 */
const MAX_HASHED_BYTES = 65_536;
/** So often in a row the SDK succeeds where the short way was refused, until that is given up. */
const MAX_REFUSALS = 3;
const REFUSALS = [400, 401, 403, 405, 411, 501];
const MAX_SOCKETS = 50;
const PLACEHOLDER = 'key';

export interface DirectRequest {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  key: string;
  headers?: Record<string, string>;
  body?: readonly Uint8Array[];
  /** Of the body's own. */
  hasChecksum?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Where requests for a bucket go, and how they are signed. */
interface Route {
  target: Pick<RequestOptions, 'protocol' | 'hostname' | 'port'>;
  /** Of the path, before the key. */
  path: string;
  headers: Record<string, string>;
  signer: Awaited<ReturnType<S3Client['config']['signer']>>;
  agent: http.Agent;
}

export class DirectWay {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #idleTimeoutMs: number;
  #route: Promise<Route | undefined> | undefined;
  #refusals = 0;

  constructor(client: S3Client, bucket: string, idleTimeoutMs: number) {
    this.#client = client;
    this.#bucket = bucket;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** @param read undefined: the answer is no simple success */
  async go<T extends object>(
    request: DirectRequest,
    read: (answer: IncomingMessage) => Promise<T | undefined> | T | undefined,
    longWay: () => Promise<T>,
  ): Promise<T> {
    const answer = await this.#send(request).catch(() => undefined);
    const result = answer && (await read(answer));
    // Read to its end, the connection is free for the next request.
    answer?.resume();
    if (result !== undefined) {
      this.#refusals = 0;
      return result;
    }
    const gone = await longWay();
    if (REFUSALS.includes(answer?.statusCode ?? 0)) this.#refusals++;
    return gone;
  }

  async #send(request: DirectRequest): Promise<IncomingMessage | undefined> {
    const { method, key, headers, body, signal } = request;
    if (this.#refusals >= MAX_REFUSALS) return undefined;
    this.#route ??= findRoute(this.#client, this.#bucket);
    const route = await this.#route.catch(() => undefined);
    // Without credentials, for one: the next request asks again.
    if (route === undefined) this.#route = undefined;
    if (route === undefined) return undefined;
    const path = route.path + key.split('/').map(encodeSegment).join('/');
    const signed = await route.signer.sign({
      ...route.target,
      method,
      path,
      query: {},
      headers: { ...route.headers, ...headers, ...bodyHeaders(request, route.target.protocol === 'https:') },
    } as Parameters<typeof route.signer.sign>[0]);
    const { target, agent } = route;
    const options = { ...target, agent, method, path, headers: signed.headers, signal };
    return await exchange({ ...options, timeout: this.#idleTimeoutMs }, body);
  }
}

function exchange(options: RequestOptions, body: readonly Uint8Array[] = []): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { request } = options.protocol === 'https:' ? https : http;
  const call = request(options, resolve);
  call.once('socket', (socket) => limitConnecting(socket));
  call.once('timeout', () => call.destroy(new Error('S3 is silent')));
  call.on('error', reject);
  // Together with the head.
  call.cork();
  for (const piece of body) call.write(piece);
  call.end();
  call.uncork();
  return promise;
}

/** Asks the SDK where it would send a request, and who signs it; nothing is sent. */
async function findRoute(client: S3Client, bucket: string): Promise<Route | undefined> {
  const command = new HeadObjectCommand({ Bucket: bucket, Key: PLACEHOLDER });
  let route: Route | undefined;
  command.middlewareStack.add(
    (_next, context) => async (args) => {
      route = await routeOf(client, args.request as SdkRequest, context.authSchemes);
      return { response: args.request, output: { $metadata: {} } };
    },
    { step: 'finalizeRequest', priority: 'high' },
  );
  await client.send(command);
  return route;
}

type SdkRequest = Parameters<Route['signer']['sign']>[0];
type Scheme = NonNullable<Parameters<S3Client['config']['signer']>[0]>;

async function routeOf(
  client: S3Client,
  { protocol, hostname, port, path, query, headers }: SdkRequest,
  schemes: unknown,
): Promise<Route | undefined> {
  const [scheme] = (schemes ?? []) as Scheme[];
  const isPlain =
    scheme?.name === 'sigv4' && path.endsWith(PLACEHOLDER) && Object.keys(query ?? {}).length === 0;
  if (!isPlain) return undefined;
  const { Agent } = protocol === 'https:' ? https : http;
  return {
    target: { protocol, hostname, port },
    path: path.slice(0, -PLACEHOLDER.length),
    headers: { host: headers.host!, 'user-agent': headers['user-agent'] ?? 'darkroom' },
    signer: await client.config.signer(scheme),
    agent: withOneBuffer(new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS })),
  };
}

function limitConnecting(socket: Socket): void {
  if (!socket.connecting) return;
  const timer = setTimeout(() => socket.destroy(new Error('S3 is not there')), CONNECT_TIMEOUT_MS);
  const stop = () => clearTimeout(timer);
  socket.once('connect', stop).once('close', stop);
}

function bodyHeaders(
  { body = [], hasChecksum = false }: DirectRequest,
  isEncrypted: boolean,
): Record<string, string> {
  const length = body.reduce((sum, piece) => sum + piece.length, 0);
  const sized = body.length > 0 && { 'content-length': String(length) };
  if (length <= MAX_HASHED_BYTES || !(isEncrypted || hasChecksum)) {
    const hashed = body.reduce((hash, piece) => hash.update(piece), createHash('sha256'));
    return { ...sized, 'x-amz-content-sha256': hashed.digest('hex') };
  }
  const unsigned = { ...sized, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' };
  if (hasChecksum) return unsigned;
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(body.reduce((sum, piece) => crc32(piece, sum), 0));
  return { ...unsigned, 'x-amz-checksum-crc32': checksum.toString('base64') };
}

/** As signatures want it: RFC 3986, which leaves fewer characters alone than JavaScript. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
