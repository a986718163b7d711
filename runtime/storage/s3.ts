/** Storage in an S3 bucket, below a prefix. */
import { v4 as uuid } from 'uuid';
import { Rejection } from '../errors.ts';
import { assertKey, isKey, isRuntimeKey, RUNTIME_FOLDER } from './keys.ts';
import { S3Bucket } from './s3-bucket.ts';
import { s3Failure } from './s3-errors.ts';
import { formatS3Url, parseS3Url, type S3Location } from './s3-url.ts';
import {
  type Bytes,
  type ListedObject,
  ObjectNotFound,
  type ObjectStat,
  type ReadOptions,
  type StagedWrite,
  type StageOptions,
  type Storage,
  type StorageOptions,
  type WriteOptions,
} from './storage.ts';

/** S3 allows 1,024 bytes for prefix and key together. */
const MAX_OBJECT_KEY_BYTES = 1024;

/** @throws {UserError} when the URL cannot be used; nothing is sent yet */
export function openS3Storage(text: string, options: StorageOptions = {}): Storage {
  const location = parseS3Url(text);
  return new S3Storage(location, new S3Bucket(location, options), options.warn);
}

class S3Storage implements Storage {
  readonly url: string;
  readonly #bucket: S3Bucket;
  /** Put before every key: empty, or the prefix and a slash. */
  readonly #base: string;
  readonly #warn: (message: string) => void;
  #knowsConditions = true;
  /** Whether the server was seen to keep the first of two conditional writes. */
  #keepsFirst = false;

  constructor(location: S3Location, bucket: S3Bucket, warn: (message: string) => void = () => {}) {
    this.url = formatS3Url(location);
    this.#bucket = bucket;
    this.#base = location.prefix === '' ? '' : `${location.prefix}/`;
    this.#warn = warn;
  }

  async find(key: string, options: ReadOptions = {}): Promise<Buffer | undefined> {
    const full = this.#fullKey(key);
    return await this.#perform(`read "${key}"`, () => this.#bucket.get(full, key, options), options.signal);
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    const bytes = await this.find(key, options);
    if (bytes === undefined) throw new ObjectNotFound(key, this.url);
    return bytes;
  }

  async write(key: string, bytes: Bytes, options: WriteOptions = {}): Promise<boolean> {
    const full = this.#fullKey(key);
    const work = async () => {
      if (options.ifAbsent) return await this.#putIfAbsent(full, bytes, options);
      await this.#bucket.put(full, bytes, options);
      return true;
    };
    return await this.#perform(`write "${key}"`, work, options.signal);
  }

  /** All of the write is its last step: whatever could hold an object back in S3 is one more request. */
  stage(key: string, bytes: Uint8Array, options?: StageOptions): StagedWrite {
    return {
      ready: Promise.resolve(),
      commit: async () => void (await this.write(key, bytes, options)),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const full = this.#fullKey(key);
    return await this.#perform(`look for "${key}"`, () => this.#bucket.head(full));
  }

  async remove(key: string): Promise<void> {
    const full = this.#fullKey(key);
    await this.#perform(`remove "${key}"`, () => this.#bucket.delete(full));
  }

  async removeAll(prefix: string, known?: string[]): Promise<void> {
    const folder = prefix.replace(/\/$/, '');
    const inside = `${this.#fullKey(folder)}/`;
    await this.#perform(`remove the folder "${folder}"`, async () => {
      if (known !== undefined) return await this.#bucket.deleteMany(known.map((key) => this.#fullKey(key)));
      for await (const page of this.#bucket.list(inside))
        await this.#bucket.deleteMany(page.map(({ key }) => key));
    });
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const folder = prefix.replace(/\/$/, '');
    const pages = this.#bucket.list(folder === '' ? this.#base : `${this.#fullKey(folder)}/`);
    for (;;) {
      const { value: page, done } = await this.#perform(`list "${folder}"`, () => pages.next());
      if (done) return;
      const objects = page.map((object) => ({ ...object, key: object.key.slice(this.#base.length) }));
      // Consoles store folders as empty objects whose keys end in a slash.
      yield* objects.filter(({ key }) => isKey(key) && (folder !== '' || !isRuntimeKey(key)));
    }
  }

  async keepsFirstWrite(): Promise<boolean> {
    const key = `${RUNTIME_FOLDER}/check/${uuid()}`;
    const full = this.#fullKey(key);
    // Both at once: some servers look first and write then.
    const write = () => this.#perform(`write "${key}"`, () => this.#putNew(full, Buffer.from('1')));
    const results = await Promise.allSettled([write(), write()]);
    await this.remove(key);
    const stored = results.map((result) => {
      if (result.status === 'fulfilled') return result.value;
      throw result.reason;
    });
    // After an answer that was lost on the way, both may be told that something is there.
    this.#keepsFirst = stored.includes(false) && !stored.includes(undefined);
    return this.#keepsFirst;
  }

  /** The full key of a key, which stays below the prefix because no segment can be `..`. */
  #fullKey(key: string): string {
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

  async #putIfAbsent(key: string, bytes: Bytes, options: WriteOptions): Promise<boolean> {
    // Some servers ignore the condition: until this one was seen to honour it, look before the leap.
    const trusts = this.#keepsFirst;
    if (!trusts && (await this.#bucket.head(key))) return false;
    const stored = this.#knowsConditions ? await this.#putNew(key, bytes, options) : undefined;
    if (stored !== undefined) return stored;
    if (trusts && (await this.#bucket.head(key))) return false;
    await this.#bucket.put(key, bytes, options);
    return true;
  }

  async #putNew(key: string, bytes: Bytes, options?: WriteOptions): Promise<boolean | undefined> {
    const stored = await this.#bucket.putNew(key, bytes, options);
    if (stored !== undefined || !this.#knowsConditions) return stored;
    this.#knowsConditions = false;
    this.#keepsFirst = false;
    this.#warn(
      `${this.url} does not know conditional writes: of two writers at one moment, the last one wins.`,
    );
    return undefined;
  }
}
