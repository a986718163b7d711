/** Storage in an S3 bucket, below a prefix. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { v4 as uuid } from 'uuid';
import { Rejection, Retryable } from '../errors.ts';
import { assertKey, isKey, isRuntimeKey, RUNTIME_FOLDER } from './keys.ts';
import { readBody, s3Client } from './s3-connection.ts';
import { s3ErrorCode, s3Failure, s3StatusOf, undefinedIfNotFound } from './s3-errors.ts';
import { formatS3Url, parseS3Url, type S3Location } from './s3-url.ts';
import {
  type ListedObject,
  ObjectNotFound,
  type ObjectStat,
  type ReadOptions,
  type Storage,
  type StorageOptions,
  type WriteOptions,
} from './storage.ts';

/** Two conditional writes at one moment: S3 answers 409 and asks for another try. */
const CONFLICT_ATTEMPTS = 4;
const PARALLEL_REMOVALS = 16;
/** S3 allows 1,024 bytes for prefix and key together. */
const MAX_OBJECT_KEY_BYTES = 1024;
/** @throws {UserError} when the URL cannot be used; nothing is sent yet */
export function openS3Storage(text: string, options: StorageOptions = {}): Storage {
  const location = parseS3Url(text);
  return new S3Storage(location, s3Client(location, options), options.warn);
}

class S3Storage implements Storage {
  readonly url: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  /** Put before every key: empty, or the prefix and a slash. */
  readonly #base: string;
  readonly #warn: (message: string) => void;
  #knowsConditions = true;

  constructor(location: S3Location, client: S3Client, warn: (message: string) => void = () => {}) {
    this.url = formatS3Url(location);
    this.#client = client;
    this.#bucket = location.bucket;
    this.#base = location.prefix === '' ? '' : `${location.prefix}/`;
    this.#warn = warn;
  }

  async find(key: string, options: ReadOptions = {}): Promise<Buffer | undefined> {
    const Key = this.#objectKey(key);
    return await this.#perform(`read "${key}"`, () => this.#get(key, Key, options), options.signal);
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    const bytes = await this.find(key, options);
    if (bytes === undefined) throw new ObjectNotFound(key, this.url);
    return bytes;
  }

  async write(key: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<boolean> {
    const Key = this.#objectKey(key);
    const work = async () => {
      if (options.ifAbsent) return await this.#putIfAbsent(Key, bytes, options);
      await this.#put(Key, bytes, options);
      return true;
    };
    return await this.#perform(`write "${key}"`, work, options.signal);
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const Key = this.#objectKey(key);
    return await this.#perform(`look for "${key}"`, () => this.#head(Key));
  }

  async remove(key: string): Promise<void> {
    const Key = this.#objectKey(key);
    await this.#perform(`remove "${key}"`, () => this.#delete(Key));
  }

  async removeAll(prefix: string): Promise<void> {
    const folder = prefix.replace(/\/$/, '');
    const doing = `remove the folder "${folder}"`;
    // One by one: not every server knows how to remove many at once.
    let batch: Promise<unknown>[] = [];
    for await (const { key } of this.#objectsUnder(`${this.#objectKey(folder)}/`, doing)) {
      batch.push(this.#delete(this.#base + key));
      if (batch.length < PARALLEL_REMOVALS) continue;
      await this.#perform(doing, () => Promise.all(batch));
      batch = [];
    }
    await this.#perform(doing, () => Promise.all(batch));
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const folder = prefix.replace(/\/$/, '');
    const under = folder === '' ? this.#base : `${this.#objectKey(folder)}/`;
    for await (const object of this.#objectsUnder(under, `list "${folder}"`)) {
      // Consoles store folders as empty objects whose keys end in a slash.
      if (isKey(object.key) && (folder !== '' || !isRuntimeKey(object.key))) yield object;
    }
  }

  async keepsFirstWrite(): Promise<boolean> {
    const key = `${RUNTIME_FOLDER}/check/${uuid()}`;
    const Key = this.#objectKey(key);
    // Both at once: some servers look first and write then.
    const write = () => this.#perform(`write "${key}"`, () => this.#putNew(Key, Buffer.from('1')));
    const results = await Promise.allSettled([write(), write()]);
    await this.remove(key);
    const stored = results.map((result) => {
      if (result.status === 'fulfilled') return result.value;
      throw result.reason;
    });
    // After an answer that was lost on the way, both may be told that something is there.
    return stored.includes(false) && !stored.includes(undefined);
  }

  /** The full key of a key, which stays below the prefix because no segment can be `..`. */
  #objectKey(key: string): string {
    assertKey(key);
    const full = this.#base + key;
    if (Buffer.byteLength(full) <= MAX_OBJECT_KEY_BYTES) return full;
    throw new Rejection(
      `key "${key}" cannot be used: with the prefix it is over ${MAX_OBJECT_KEY_BYTES} bytes.`,
      { failureType: 'invalid-task' },
    );
  }

  /** Does one thing; its errors become failures of the task. */
  async #perform<T>(doing: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      signal?.throwIfAborted();
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw s3Failure(error, doing, this.url);
    }
  }

  async #get(
    key: string,
    Key: string,
    { maxBytes = Number.POSITIVE_INFINITY, signal }: ReadOptions,
  ): Promise<Buffer | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key });
    const answer = await this.#client.send(command, { abortSignal: signal }).catch(undefinedIfNotFound);
    if (answer === undefined) return undefined;
    const { Body, ContentLength } = answer;
    const bytes = await readBody(Body, ContentLength, key, maxBytes, signal);
    if (bytes.length === (ContentLength ?? bytes.length)) return bytes;
    throw new Retryable(
      `"${key}" in ${this.url} broke off after ${bytes.length} of ${ContentLength} bytes.`,
      {
        failureType: 'network',
      },
    );
  }

  async #head(Key: string): Promise<ObjectStat | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#bucket, Key });
    const answer = await this.#client.send(command).catch(undefinedIfNotFound);
    return answer && { bytes: answer.ContentLength ?? 0, modified: answer.LastModified ?? new Date(0) };
  }

  async #put(
    Key: string,
    Body: Uint8Array,
    { contentType: ContentType, signal }: WriteOptions,
    IfNoneMatch?: string,
  ): Promise<void> {
    const command = new PutObjectCommand({ Bucket: this.#bucket, Key, Body, ContentType, IfNoneMatch });
    await this.#client.send(command, { abortSignal: signal });
  }

  async #putIfAbsent(Key: string, bytes: Uint8Array, options: WriteOptions): Promise<boolean> {
    // Asked first, because some servers ignore the condition, and to spare sending the bytes in vain.
    if (await this.#head(Key)) return false;
    const stored = this.#knowsConditions ? await this.#putNew(Key, bytes, options) : undefined;
    if (stored !== undefined) return stored;
    await this.#put(Key, bytes, options);
    return true;
  }

  /** Stores under a condition; undefined when the server does not know conditions. */
  async #putNew(Key: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<boolean | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#put(Key, bytes, options, '*');
        return true;
      } catch (error) {
        if (s3StatusOf(error) === 412) return false;
        if (s3ErrorCode(error) === 'ConditionalRequestConflict' && attempt < CONFLICT_ATTEMPTS) continue;
        if (s3StatusOf(error) !== 501 && s3ErrorCode(error) !== 'NotImplemented') throw error;
        this.#knowsConditions = false;
        this.#warn(
          `${this.url} does not know conditional writes: of two writers at one moment, the last one wins.`,
        );
        return undefined;
      }
    }
  }

  async #delete(Key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key }));
  }

  async *#objectsUnder(prefix: string, doing: string): AsyncGenerator<ListedObject> {
    let ContinuationToken: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, ContinuationToken });
      const page = await this.#perform(doing, () => this.#client.send(command));
      for (const { Key = '', Size = 0, LastModified = new Date(0) } of page.Contents ?? []) {
        yield { key: Key.slice(this.#base.length), bytes: Size, modified: LastModified };
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }
}
