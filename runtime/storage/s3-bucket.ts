/** What is asked of a bucket, request by request. Errors are the AWS SDK's; `s3.ts` gives them their meaning. */
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
import { readBody, s3Client } from './s3-connection.ts';
import { isRefusedRequest, s3ErrorCode, s3StatusOf, undefinedIfNotFound } from './s3-errors.ts';
import { formatS3Url, type S3Location } from './s3-url.ts';
import type { ListedObject, ObjectStat, ReadOptions, StageOptions, StorageOptions } from './storage.ts';

/** Two conditional writes at one moment: S3 answers 409 and asks for another try. */
const CONFLICT_ATTEMPTS = 4;
/** How many objects one request may remove. */
const MAX_BATCH = 1000;
const PARALLEL_REMOVALS = 16;

/** Keys are full here: with the prefix. */
export class S3Bucket {
  readonly #url: string;
  readonly #name: string;
  readonly #client: S3Client;
  #knowsBatches = true;

  constructor(location: S3Location, options: StorageOptions) {
    this.#url = formatS3Url(location);
    this.#name = location.bucket;
    this.#client = s3Client(location, options);
  }

  /** @param name what the object is called, for people */
  async get(
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
    const command = new HeadObjectCommand({ Bucket: this.#name, Key: key });
    const answer = await this.#client.send(command).catch(undefinedIfNotFound);
    return answer && { bytes: answer.ContentLength ?? 0, modified: answer.LastModified ?? new Date(0) };
  }

  async put(
    key: string,
    bytes: Uint8Array,
    { contentType, signal }: StageOptions,
    IfNoneMatch?: string,
  ): Promise<void> {
    const object = { Bucket: this.#name, Key: key, Body: bytes, ContentType: contentType, IfNoneMatch };
    await this.#client.send(new PutObjectCommand(object), { abortSignal: signal });
  }

  /** Stores under the condition that nothing is there; undefined when the server does not know conditions. */
  async putNew(key: string, bytes: Uint8Array, options: StageOptions = {}): Promise<boolean | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.put(key, bytes, options, '*');
        return true;
      } catch (error) {
        if (s3StatusOf(error) === 412) return false;
        if (s3ErrorCode(error) === 'ConditionalRequestConflict' && attempt < CONFLICT_ATTEMPTS) continue;
        if (s3StatusOf(error) === 501 || s3ErrorCode(error) === 'NotImplemented') return undefined;
        throw error;
      }
    }
  }

  async delete(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#name, Key: key }));
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
}
