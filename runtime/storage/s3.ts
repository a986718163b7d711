/** Storage in an S3 bucket, below a prefix; the only file that loads the AWS SDK. */
import type { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Rejection, Retryable } from '../errors.ts';
import { checkStorage } from './check.ts';
import { assertKey, isKey, isRuntimeKey, RUNTIME_FOLDER } from './keys.ts';
import { tooLarge } from './limits.ts';
import { asFailure, codeOf, isNotFound, statusOf } from './s3-errors.ts';
import { formatStorageUrl, parseStorageUrl, type S3Location } from './s3-url.ts';
import { ObjectNotFound, type Storage, type StorageOptions, type WriteOptions } from './storage.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const IDLE_TIMEOUT_MS = 10_000;
const ATTEMPTS = 3;
/** Two conditional writes at one moment: S3 answers 409 and asks for another try. */
const CONFLICT_ATTEMPTS = 4;
const PARALLEL_REMOVALS = 16;
/** S3 allows 1,024 bytes for prefix and key together. */
const MAX_OBJECT_KEY_BYTES = 1024;
const REMEDY =
  'Check the bucket, endpoint and region in STORAGE_URL, the AWS_* credentials, and that they may s3:GetObject, ' +
  's3:PutObject, s3:DeleteObject and s3:ListBucket (without the last, an absent object looks forbidden).';

/** @throws {UserError} when the URL cannot be used; nothing is sent yet */
export function openS3Storage(text: string, options: StorageOptions = {}): Storage {
  const location = parseStorageUrl(text);
  return s3Storage(location, clientFor(location, options), options.warn ?? (() => {}));
}

function clientFor(location: S3Location, options: StorageOptions): S3Client {
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

function s3Storage(location: S3Location, client: S3Client, warn: (message: string) => void): Storage {
  const url = formatStorageUrl(location);
  const Bucket = location.bucket;
  const base = location.prefix === '' ? '' : `${location.prefix}/`;
  let knowsConditions = true;

  /** The full key of a key, which stays below the prefix because no segment can be `..`. */
  function objectKey(key: string): string {
    assertKey(key);
    const full = base + key;
    if (Buffer.byteLength(full) <= MAX_OBJECT_KEY_BYTES) return full;
    throw new Rejection(
      `key "${key}" cannot be used: with the prefix it is over ${MAX_OBJECT_KEY_BYTES} bytes.`,
      {
        failureType: 'invalid-task',
      },
    );
  }

  /** Does one thing, its errors in words. */
  async function perform<T>(doing: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw asFailure(error, doing, url);
    }
  }

  async function get(key: string, Key: string, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const answer = await client
      .send(new GetObjectCommand({ Bucket, Key }), { abortSignal: signal })
      .catch((error) => {
        throw isNotFound(error) ? new ObjectNotFound(key, url, { cause: error }) : error;
      });
    const body = answer.Body as Readable;
    // Left early, the loop destroys the body and with it the connection.
    const chunks: Buffer[] = [];
    let bytes = 0;
    if ((answer.ContentLength ?? 0) > maxBytes) {
      body.destroy();
      throw tooLarge(key, `${answer.ContentLength} bytes`, maxBytes);
    }
    for await (const chunk of body) {
      signal?.throwIfAborted();
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(key, 'more bytes than it says', maxBytes);
      chunks.push(chunk);
    }
    if (answer.ContentLength !== undefined && bytes !== answer.ContentLength) {
      throw new Retryable(`"${key}" in ${url} broke off after ${bytes} of ${answer.ContentLength} bytes.`, {
        failureType: 'network',
      });
    }
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
  }

  async function head(Key: string): Promise<{ bytes: number; modified: Date } | undefined> {
    try {
      const { ContentLength = 0, LastModified = new Date(0) } = await client.send(
        new HeadObjectCommand({ Bucket, Key }),
      );
      return { bytes: ContentLength, modified: LastModified };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function put(
    Key: string,
    bytes: Uint8Array,
    { contentType, signal }: WriteOptions,
    IfNoneMatch?: string,
  ) {
    const command = new PutObjectCommand({ Bucket, Key, Body: bytes, ContentType: contentType, IfNoneMatch });
    await client.send(command, { abortSignal: signal });
  }

  async function putIfAbsent(Key: string, bytes: Uint8Array, options: WriteOptions): Promise<boolean> {
    // Asked first, because some servers ignore the condition, and to spare sending the bytes in vain.
    if (await head(Key)) return false;
    for (let attempt = 1; knowsConditions; attempt++) {
      try {
        await put(Key, bytes, options, '*');
        return true;
      } catch (error) {
        if (statusOf(error) === 412) return false;
        if (codeOf(error) === 'ConditionalRequestConflict' && attempt < CONFLICT_ATTEMPTS) continue;
        if (statusOf(error) !== 501 && codeOf(error) !== 'NotImplemented') throw error;
        knowsConditions = false;
        warn(`${url} does not know conditional writes: of two writers at one moment, the last one wins.`);
      }
    }
    await put(Key, bytes, options);
    return true;
  }

  async function* objectsUnder(prefix: string, doing: string) {
    let ContinuationToken: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken });
      const page = await perform(doing, () => client.send(command));
      for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
        yield { key: Key.slice(base.length), bytes: Size, modified: LastModified };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  const storage: Storage = {
    url,
    async read(key, { maxBytes = Number.POSITIVE_INFINITY, signal } = {}) {
      const Key = objectKey(key);
      return await perform(`read "${key}"`, () => get(key, Key, maxBytes, signal), signal);
    },
    async write(key, bytes, options = {}) {
      const Key = objectKey(key);
      const write = async () => {
        if (options.ifAbsent) return await putIfAbsent(Key, bytes, options);
        await put(Key, bytes, options);
        return true;
      };
      return await perform(`write "${key}"`, write, options.signal);
    },
    async stat(key) {
      const Key = objectKey(key);
      return await perform(`look for "${key}"`, () => head(Key));
    },
    async remove(key) {
      const Key = objectKey(key);
      await perform(`remove "${key}"`, () => client.send(new DeleteObjectCommand({ Bucket, Key })));
    },
    async removeAll(prefix) {
      const folder = prefix.replace(/\/$/, '');
      const doing = `remove the folder "${folder}"`;
      // One by one: not every server knows how to remove many at once.
      let batch: Promise<unknown>[] = [];
      for await (const { key } of objectsUnder(`${objectKey(folder)}/`, doing)) {
        batch.push(client.send(new DeleteObjectCommand({ Bucket, Key: base + key })));
        if (batch.length < PARALLEL_REMOVALS) continue;
        await perform(doing, () => Promise.all(batch));
        batch = [];
      }
      await perform(doing, () => Promise.all(batch));
    },
    async *list(prefix) {
      const folder = prefix.replace(/\/$/, '');
      const under = folder === '' ? base : `${objectKey(folder)}/`;
      for await (const object of objectsUnder(under, `list "${folder}"`)) {
        // Consoles store folders as empty objects whose keys end in a slash.
        if (isKey(object.key) && (folder !== '' || !isRuntimeKey(object.key))) yield object;
      }
    },
    async check() {
      await checkStorage(storage, REMEDY);
      await warnOfIgnoredConditions();
    },
  };

  async function warnOfIgnoredConditions(): Promise<void> {
    const key = `${RUNTIME_FOLDER}/check/conditional`;
    await storage.write(key, Buffer.from('1'));
    try {
      await put(objectKey(key), Buffer.from('2'), {}, '*');
      warn(`${url} ignores conditional writes: of two writers at one moment, the last one wins.`);
    } catch {
      // Refused, as it should be, or not known, which the first such write reports.
    } finally {
      await storage.remove(key);
    }
  }

  return storage;
}
