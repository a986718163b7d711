/** The connection to S3: how long it may take, how often a call is tried, and how an answer's body is read. */
import type { Readable } from 'node:stream';
import { type GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { S3Location } from './s3-url.ts';
import { type StorageOptions, tooLarge } from './storage.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const IDLE_TIMEOUT_MS = 10_000;
const ATTEMPTS = 3;

export function s3Client(location: S3Location, options: StorageOptions): S3Client {
  return new S3Client({
    endpoint: location.endpoint,
    region: location.region,
    forcePathStyle: location.forcePathStyle,
    credentials: options.credentials,
    maxAttempts: options.attempts ?? ATTEMPTS,
    // Connections are kept alive by the SDK's own agent.
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    },
  });
}

/** The whole body, unless it is too large: then the connection goes with it. */
export async function readBody(
  body: GetObjectCommandOutput['Body'],
  length: number | undefined,
  key: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  const stream = body as Readable;
  if ((length ?? 0) > maxBytes) {
    stream.destroy();
    throw tooLarge(key, `${length} bytes`, maxBytes);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left early, the loop destroys the body.
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(key, 'more bytes than it says', maxBytes);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
}
