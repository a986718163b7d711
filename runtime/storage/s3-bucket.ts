/**
 * What is asked of a bucket, request by request: what a task needs in the short way where that can be gone, all else by the
 * AWS SDK. Errors are the SDK's; `s3.ts` gives them their meaning.
 */
import type { IncomingMessage } from 'node:http';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Retryable } from '../errors.ts';
import {
  ATTEMPTS,
  IDLE_TIMEOUT_MS,
  isNothingThere,
  readAnswer,
  readBody,
  s3Client,
} from './s3-connection.ts';
import { type DirectRequest, DirectWay } from './s3-direct.ts';
import { isRefusedRequest, s3ErrorCode, s3StatusOf, undefinedIfNotFound } from './s3-errors.ts';
import { formatS3Url, type S3Location } from './s3-url.ts';
import {
  type Bytes,
  type ListedObject,
  type ObjectStat,
  piecesOf,
  type ReadOptions,
  type StorageOptions,
  type WriteOptions,
} from './storage.ts';

/** Two conditional writes at one moment: S3 answers 409 and asks for another try. */
const CONFLICT_ATTEMPTS = 4;
/** How many objects one request may remove. */
const MAX_BATCH = 1000;
const PARALLEL_REMOVALS = 16;

type PutOptions = Pick<WriteOptions, 'contentType' | 'hasChecksum' | 'signal'>;

/** Keys are full here: with the prefix. */
export class S3Bucket {
  readonly #url: string;
  readonly #name: string;
  readonly #client: S3Client;
  /** None where each call has one try only. */
  readonly #direct: DirectWay | undefined;
  #knowsBatches = true;

  constructor(location: S3Location, options: StorageOptions) {
    this.#url = formatS3Url(location);
    this.#name = location.bucket;
    const attempts = options.attempts ?? ATTEMPTS;
    const isDirect = attempts > 1;
    this.#client = s3Client(location, options, isDirect ? attempts - 1 : attempts);
    if (isDirect)
      this.#direct = new DirectWay(this.#client, this.#name, options.idleTimeoutMs ?? IDLE_TIMEOUT_MS);
  }

  /** @param name what the object is called, for people */
  async get(key: string, name: string, options: ReadOptions): Promise<Buffer | undefined> {
    const found = await this.#go<{ bytes: Buffer | undefined }>(
      { method: 'GET', key, signal: options.signal },
      async (answer) => {
        if (await isNothingThere(answer)) return { bytes: undefined };
        const bytes = answer.statusCode === 200 ? await readAnswer(answer, name, options) : undefined;
        return bytes && { bytes };
      },
      async () => ({ bytes: await this.#get(key, name, options) }),
    );
    return found.bytes;
  }

  async #get(
    key: string,
    name: string,
    { maxBytes = Number.POSITIVE_INFINITY, signal }: ReadOptions,
  ): Promise<Buffer | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#name, Key: key });
    const answer = await this.#client.send(command, { abortSignal: signal }).catch(undefinedIfNotFound);
    if (answer === undefined) return undefined;
    const { Body, ContentLength } = answer;
    const bytes = await readBody(Body, ContentLength, name, maxBytes, signal);
    if (bytes.length === (ContentLength ?? bytes.length)) return bytes;
    throw new Retryable(
      `"${name}" in ${this.#url} broke off after ${bytes.length} of ${ContentLength} bytes.`,
      {
        failureType: 'network',
      },
    );
  }

  async head(key: string): Promise<ObjectStat | undefined> {
    const { stat } = await this.#go<{ stat: ObjectStat | undefined }>(
      { method: 'HEAD', key },
      ({ statusCode, headers }) => {
        if (statusCode === 404) return { stat: undefined };
        const modified = new Date(headers['last-modified'] ?? 0);
        return statusCode === 200
          ? { stat: { bytes: Number(headers['content-length']), modified } }
          : undefined;
      },
      async () => {
        const command = new HeadObjectCommand({ Bucket: this.#name, Key: key });
        const answer = await this.#client.send(command).catch(undefinedIfNotFound);
        const { ContentLength: bytes = 0, LastModified: modified = new Date(0) } = answer ?? {};
        return { stat: answer && { bytes, modified } };
      },
    );
    return stat;
  }

  async put(key: string, bytes: Bytes, options: PutOptions): Promise<void> {
    await this.#put(key, bytes, options);
  }

  /** Stores under the condition that nothing is there; undefined when the server does not know conditions. */
  async putNew(key: string, bytes: Bytes, options: PutOptions = {}): Promise<boolean | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#put(key, bytes, options, '*');
      } catch (error) {
        if (s3StatusOf(error) === 412) return false;
        if (s3ErrorCode(error) === 'ConditionalRequestConflict' && attempt < CONFLICT_ATTEMPTS) continue;
        if (s3StatusOf(error) === 501 || s3ErrorCode(error) === 'NotImplemented') return undefined;
        throw error;
      }
    }
  }

  /** @returns false when the condition does not hold */
  async #put(
    key: string,
    bytes: Bytes,
    { contentType, hasChecksum, signal }: PutOptions,
    condition?: '*',
  ): Promise<boolean> {
    const body = piecesOf(bytes);
    const headers = {
      ...(contentType !== undefined && { 'content-type': contentType }),
      ...(condition !== undefined && { 'if-none-match': condition }),
    };
    const { stored } = await this.#go<{ stored: boolean }>(
      { method: 'PUT', key, headers, body, hasChecksum, signal },
      ({ statusCode }) => {
        const isThere = condition !== undefined && statusCode === 412;
        return statusCode === 200 || isThere ? { stored: !isThere } : undefined;
      },
      async () => {
        const object = { Bucket: this.#name, Key: key, Body: joined(body), ContentType: contentType };
        const command = new PutObjectCommand({ ...object, IfNoneMatch: condition });
        await this.#client.send(command, { abortSignal: signal });
        return { stored: true };
      },
    );
    return stored;
  }

  async delete(key: string): Promise<void> {
    await this.#go(
      { method: 'DELETE', key },
      ({ statusCode }) => (statusCode === 204 ? {} : undefined),
      async () => await this.#client.send(new DeleteObjectCommand({ Bucket: this.#name, Key: key })),
    );
  }

  /** In one request for every thousand, where the server knows how. */
  async deleteMany(keys: string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += MAX_BATCH) {
      const batch = keys.slice(at, at + MAX_BATCH);
      const left = this.#knowsBatches && batch.length > 1 ? await this.#deleteBatch(batch) : batch;
      await this.#deleteEach(left);
    }
  }

  async *list(prefix: string): AsyncGenerator<ListedObject[]> {
    let ContinuationToken: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket: this.#name, Prefix: prefix, ContinuationToken });
      const page = await this.#client.send(command);
      yield (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified = new Date(0) }) => ({
        key: Key,
        bytes: Size,
        modified: LastModified,
      }));
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  /** @returns those that may still be there */
  async #deleteBatch(keys: string[]): Promise<string[]> {
    const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
    try {
      const { Errors = [] } = await this.#client.send(
        new DeleteObjectsCommand({ Bucket: this.#name, Delete }),
      );
      return Errors.map(({ Key = '' }) => Key);
    } catch (error) {
      if (!isRefusedRequest(error)) throw error;
      this.#knowsBatches = false;
      return keys;
    }
  }

  async #deleteEach(keys: string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += PARALLEL_REMOVALS)
      await Promise.all(keys.slice(at, at + PARALLEL_REMOVALS).map((key) => this.delete(key)));
  }

  async #go<T extends object>(
    request: DirectRequest,
    read: (answer: IncomingMessage) => Promise<T | undefined> | T | undefined,
    longWay: () => Promise<T>,
  ): Promise<T> {
    return this.#direct === undefined ? await longWay() : await this.#direct.go(request, read, longWay);
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}
