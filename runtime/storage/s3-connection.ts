/** The connection to S3: how long it may take, how often a call is tried, and how an answer's body is read. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { type GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { S3Location } from './s3-url.ts';
import { type ReadOptions, type StorageOptions, tooLarge } from './storage.ts';

export const CONNECT_TIMEOUT_MS = 3_000;
export const IDLE_TIMEOUT_MS = 10_000;
export const ATTEMPTS = 3;
const MAX_ERROR_LENGTH = 65_536;

/** @param attempts of one call, the first included */
export function s3Client(location: S3Location, options: StorageOptions, attempts: number): S3Client {
  return new S3Client({
    endpoint: location.endpoint,
    region: location.region,
    forcePathStyle: location.forcePathStyle,
    credentials: options.credentials,
    maxAttempts: attempts,
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

/** The whole body of an answer, in the room that its reader gives; undefined when it breaks off, or has no length. */
export async function readAnswer(
  answer: IncomingMessage,
  key: string,
  { maxBytes = Number.POSITIVE_INFINITY, allocate = Buffer.allocUnsafe }: ReadOptions,
): Promise<Buffer | undefined> {
  const length = Number(answer.headers['content-length'] ?? Number.NaN);
  if (length > maxBytes) {
    answer.destroy();
    throw tooLarge(key, `${length} bytes`, maxBytes);
  }
  if (!Number.isSafeInteger(length)) return undefined;
  const bytes = allocate(length);
  let filled = 0;
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  // Not by iterating: a promise for each chunk takes longer than the copy.
  answer.on('data', (chunk: Buffer) => {
    filled += chunk.copy(bytes, filled);
  });
  answer.once('end', () => resolve(filled === length ? bytes : undefined));
  answer.once('error', () => resolve(undefined));
  answer.once('close', () => resolve(undefined));
  return await promise;
}

/** Whether S3 says that there is no such object; a missing bucket is another matter. */
export async function isNothingThere(answer: IncomingMessage): Promise<boolean> {
  if (answer.statusCode !== 404) return false;
  let text = '';
  try {
    for await (const chunk of answer.setEncoding('utf8')) {
      text += chunk;
      if (text.length > MAX_ERROR_LENGTH) break;
    }
  } catch {
    return false;
  }
  return text.includes('<Code>NoSuchKey</Code>');
}
