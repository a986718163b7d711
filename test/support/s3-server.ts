/**
 * An S3 server for tests, on loopback and from the npm registry alone, that can be told to fail.
 *
 * `TEST_S3_ENDPOINT=http://127.0.0.1:9000` with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` runs the same tests
 * against another server, such as MinIO, moto or versitygw, with the faults in front of that.
 */
import { randomBytes } from 'node:crypto';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  request as requestUpstream,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { PemPair } from './certificates.ts';
import {
  type Backend,
  type ConditionalWrites,
  S3RVER_ACCOUNT,
  sendError,
  startS3rver,
} from './corrected-s3rver.ts';
import { isSigned } from './request-signature.ts';

/** What goes wrong with requests, until it is taken back with `fault(undefined)`. */
export type S3Fault =
  /** Answers with an error; `code` is S3's name of it. Only the first `times` requests (default: all) of a kind. */
  | {
      kind: 'status';
      status: number;
      code?: string;
      times?: number;
      of?: (request: IncomingMessage) => boolean;
    }
  /** Answers only after a while, and lets no more bytes through; default: as fast as it can. */
  | { kind: 'slow'; delayMs: number; bytesPerMs?: number }
  /** Takes the request and never answers. */
  | { kind: 'silent' }
  /** Breaks the connection off: before the answer or, with `afterBytes`, inside its body. */
  | { kind: 'cut'; afterBytes?: number };

export interface S3ServerOptions {
  /** Default: supported. */
  conditionalWrites?: ConditionalWrites;
  /** Whether one request can remove many objects; default true. */
  removesMany?: boolean;
  /** Speaks TLS with it; default: not at all. */
  certificate?: PemPair;
}

export interface S3Server extends AsyncDisposable {
  /** For STORAGE_URL: a bucket of this server's own, empty, and a prefix in it. */
  readonly url: string;
  readonly endpoint: string;
  readonly bucket: string;
  /** Credentials for the environment of a worker. */
  readonly env: { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string; AWS_REGION: string };
  /** The same for a storage opened in the test. */
  readonly credentials: { accessKeyId: string; secretAccessKey: string };
  /** The requests so far, such as `PUT /bucket/images/a.png`, without their queries. */
  readonly requests: string[];
  /** Theirs, in the same order. */
  readonly headers: IncomingHttpHeaders[];
  /** From now on, requests go wrong in this way; undefined: they work again. */
  fault(fault: S3Fault | undefined): void;
}

const REGION = 'us-east-1';

export async function startS3Server({
  conditionalWrites = 'supported',
  removesMany = true,
  certificate,
}: S3ServerOptions = {}): Promise<S3Server> {
  const bucket = `test-${randomBytes(6).toString('hex')}`;
  const { TEST_S3_ENDPOINT: other, AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env;
  const elsewhere = other !== undefined && conditionalWrites === 'supported';
  const credentials = elsewhere
    ? { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
    : { accessKeyId: S3RVER_ACCOUNT, secretAccessKey: S3RVER_ACCOUNT };
  const backend = elsewhere
    ? await forwardTo(other, bucket, credentials)
    : await startS3rver(bucket, conditionalWrites);

  const requests: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  let fault: S3Fault | undefined;
  const listener: RequestListener = async (request, response) => {
    requests.push(`${request.method} ${request.url?.split('?')[0]}`);
    headers.push(request.headers);
    if (await fail(fault, request, response)) return;
    if (!isSigned(request, credentials.secretAccessKey)) {
      request.resume();
      return sendError(response, 403, 'SignatureDoesNotMatch');
    }
    if (removesMany || request.method !== 'POST') return void backend.answer(request, response);
    request.resume();
    sendError(response, 501, 'NotImplemented');
  };
  const server = certificate ? createSecureServer(certificate, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http${certificate ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url: `s3://${bucket}/images?endpoint=${encodeURIComponent(endpoint)}&region=${REGION}`,
    endpoint,
    bucket,
    env: {
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_REGION: REGION,
    },
    credentials,
    requests,
    headers,
    fault: (next) => {
      fault = next && { ...next };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await backend[Symbol.asyncDispose]();
    },
  };
}

/** A new bucket in a server that runs already. Its Host header is kept, since it is signed. */
async function forwardTo(
  endpoint: string,
  bucket: string,
  credentials: S3Server['credentials'],
): Promise<Backend> {
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const { hostname, port } = new URL(endpoint);
  return {
    answer(request, response) {
      const { method, url, headers } = request;
      const upstream = requestUpstream({ hostname, port, method, path: url, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      upstream.on('error', () => response.destroy());
      request.pipe(upstream);
    },
    [Symbol.asyncDispose]: async () => client.destroy(),
  };
}

/** Lets a request go wrong. Resolves to true when it has been answered, or never will be. */
async function fail(
  fault: S3Fault | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  switch (fault?.kind) {
    case 'status':
      if (fault.of?.(request) === false) return false;
      if (fault.times !== undefined && fault.times-- <= 0) return false;
      request.resume();
      sendError(response, fault.status, fault.code ?? 'InternalError');
      return true;
    case 'slow':
      if (fault.bytesPerMs !== undefined) paceBody(response, fault.bytesPerMs);
      await sleep(
        fault.delayMs +
          Number(request.headers['content-length'] ?? 0) / (fault.bytesPerMs ?? Number.POSITIVE_INFINITY),
      );
      return false;
    case 'silent':
      request.resume();
      return true;
    case 'cut':
      if (fault.afterBytes !== undefined) {
        cutBodyAfter(response, fault.afterBytes);
        return false;
      }
      request.socket.destroy();
      return true;
    default:
      return false;
  }
}

function cutBodyAfter(response: ServerResponse, bytes: number): void {
  const write = response.write.bind(response) as (chunk: Buffer) => boolean;
  response.write = ((chunk: Buffer) => {
    write(chunk.subarray(0, bytes));
    setImmediate(() => response.socket?.destroy());
    return true;
  }) as typeof response.write;
}

function paceBody(response: ServerResponse, bytesPerMs: number): void {
  const write = response.write.bind(response) as (chunk: Buffer) => boolean;
  const end = response.end.bind(response) as () => ServerResponse;
  let dueMs = 0;
  let last: Promise<unknown> = Promise.resolve();
  const later = (work: () => unknown) => {
    const mineMs = dueMs;
    last = last.then(() => sleep(Math.max(0, mineMs - performance.now()))).then(work);
  };
  response.write = ((chunk: Buffer) => {
    dueMs = Math.max(dueMs, performance.now()) + chunk.length / bytesPerMs;
    later(() => write(chunk));
    return true;
  }) as typeof response.write;
  response.end = ((chunk?: Buffer) => {
    if (chunk !== undefined) response.write(chunk);
    later(end);
    return response;
  }) as typeof response.end;
}
