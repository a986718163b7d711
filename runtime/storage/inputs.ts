/** Reads what a task names as its `input`: a key, an object in an allowed bucket, or an allowed `https` URL. */
import { Rejection } from '../errors.ts';
import { redactUrl, shorten } from '../redact.ts';
import { type AllowedBucket, bucketsOf, parseAllowedBucket } from './allowed-buckets.ts';
import type { HttpsOptions, HttpsReader } from './https.ts';
import { assertUserKey, isRuntimeKey } from './keys.ts';
import { type BucketNaming, openStorage } from './open.ts';
import type { ReadOptions, Storage, StorageOptions } from './storage.ts';

export interface Inputs {
  /**
   * The bytes of an input.
   * @throws {Rejection} `input-forbidden`, `input-not-found` (https) or `limit-exceeded`
   * @throws {ObjectNotFound} for a key, whose writer may be a moment behind
   * @throws {Retryable} `storage` or `network`
   */
  read(input: string, options?: ReadOptions): Promise<Buffer>;
  /** The key in the configured storage that `input` names; undefined when it names something elsewhere. */
  keyOf(input: string): string | undefined;
}

export interface InputsOptions {
  /** The configured storage. */
  storage: Storage;
  /**
   * STORAGE_BUCKETS: other buckets that inputs may name, as a bucket's name (at the storage's own endpoint) or as
   * `s3://bucket/prefix?endpoint=…&region=…`. Default: none.
   */
  buckets?: string[];
  /** Default: `https` inputs are refused. */
  https?: HttpsOptions;
  /** For the other buckets. */
  storageOptions?: StorageOptions;
}

const EXPECTED = 'Expected a key in the storage, s3://bucket/key, or an https URL where those are allowed';
/** `name://…`, and the schemes that come without slashes; other colons are part of a key. */
const URL_LIKE = /^(?:[a-z][a-z\d+.-]*:\/\/|(?:https?|s3|ftp|file|data|blob|javascript|urn|about):)/i;

const OBJECT_URL = /^([a-z][a-z\d+.-]*):\/\/([^/]+)\/(.+)$/is;

/** @throws {UserError} when a bucket or a host rule cannot be read; nothing is connected to yet */
export function openInputs(options: InputsOptions): Inputs {
  return new StorageInputs(options);
}

class StorageInputs implements Inputs {
  readonly #storage: Storage;
  /** The storage's own bucket, where it is one. */
  readonly #own: AllowedBucket | undefined;
  readonly #others: AllowedBucket[];
  readonly #storageOptions: StorageOptions | undefined;
  readonly #opened = new Map<string, Promise<Storage>>();
  readonly #https: HttpsOptions | undefined;
  #httpsReader: Promise<HttpsReader> | undefined;

  constructor({ storage, buckets = [], https, storageOptions }: InputsOptions) {
    this.#storage = storage;
    this.#own = bucketsOf(storage.url) && parseAllowedBucket(storage.url);
    this.#others = buckets.map((text) => parseAllowedBucket(text, storage.url));
    this.#storageOptions = storageOptions;
    this.#https = https;
  }

  async read(input: string, options: ReadOptions = {}): Promise<Buffer> {
    if (/^https:\/\//i.test(input)) return await this.#readHttps(input, options);
    const named = /^[a-z][a-z\d+.-]*:\/\//i.test(input) ? bucketsOf(input) : undefined;
    if (named !== undefined) {
      const { from, key } = await this.#locate(input, named);
      return await from.read(key, options);
    }
    if (URL_LIKE.test(input)) throw forbidden(input, 'such URLs are not read');
    assertUserKey(input, 'input');
    return await this.#storage.read(input, options);
  }

  /** The storage and the key in it that `scheme://bucket/key` names. The key is literal: nothing is decoded. */
  async #locate(
    input: string,
    { scheme, buckets }: { scheme: string; buckets: BucketNaming },
  ): Promise<{ from: Storage; key: string }> {
    const [, , bucket, key] = OBJECT_URL.exec(input) ?? [];
    if (bucket === undefined || key === undefined) throw forbidden(input, `it is not ${scheme}://bucket/key`);
    if (!buckets.isName(bucket)) throw forbidden(input, buckets.nameRule);
    assertUserKey(key, 'input');
    // The runtime's folder is below a prefix, so it may be anywhere in a bucket.
    if (key.split('/').some(isRuntimeKey)) throw forbidden(input, 'it belongs to the runtime');
    const isNamed = (allowed: AllowedBucket) => allowed.scheme === scheme && allowed.bucket === bucket;
    const other = this.#others.findLast(isNamed);
    if (other) return { from: await this.#open(other.url), key: below(other.prefix, key, input) };
    if (this.#own && isNamed(this.#own))
      return { from: this.#storage, key: below(this.#own.prefix, key, input) };
    throw forbidden(input, `the bucket ${bucket} is not in STORAGE_BUCKETS`);
  }

  #open(url: string): Promise<Storage> {
    const known = this.#opened.get(url);
    if (known) return known;
    const opening = openStorage(url, this.#storageOptions);
    this.#opened.set(url, opening);
    return opening;
  }

  keyOf(input: string): string | undefined {
    if (!URL_LIKE.test(input)) return input;
    const [, scheme, bucket, key] = OBJECT_URL.exec(input) ?? [];
    const own = this.#own;
    if (key === undefined || own?.scheme !== scheme?.toLowerCase() || own?.bucket !== bucket)
      return undefined;
    if (own!.prefix === '') return key;
    return key.startsWith(`${own!.prefix}/`) ? key.slice(own!.prefix.length + 1) : undefined;
  }

  async #readHttps(input: string, options: ReadOptions): Promise<Buffer> {
    const https = this.#https;
    if (!https?.enabled) throw forbidden(input, 'https inputs are off (INPUT_HTTPS)');
    this.#httpsReader ??= import('./https.ts').then(({ httpsReader }) => httpsReader(https));
    return await (await this.#httpsReader)(input, options);
  }
}

/** The key relative to a prefix. */
function below(prefix: string, key: string, input: string): string {
  if (prefix === '') return key;
  if (key.startsWith(`${prefix}/`)) return key.slice(prefix.length + 1);
  throw forbidden(input, `of this bucket only ${prefix}/ is allowed`);
}

function forbidden(input: string, why: string): Rejection {
  return new Rejection(`The input ${shorten(redactUrl(input))} is not read: ${why}. ${EXPECTED}.`, {
    failureType: 'input-forbidden',
  });
}
