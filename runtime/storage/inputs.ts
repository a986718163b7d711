/** Reads what a task names as its `input`: a key, an object in an allowed bucket, or an allowed `https` URL. */
import { Rejection, UserError } from '../errors.ts';
import { redactUrl, shorten } from '../redact.ts';
import type { HttpsOptions, HttpsReader } from './https.ts';
import { assertUserKey, isRuntimeKey } from './keys.ts';
import { openStorage } from './open.ts';
import {
  BUCKET_NAME_WORDS,
  formatStorageUrl,
  isBucketName,
  parseObjectUrl,
  parseStorageUrl,
} from './s3-url.ts';
import type { ReadOptions, Storage, StorageOptions } from './storage.ts';

export interface Inputs {
  /**
   * The bytes of an input.
   * @throws {Rejection} `input-forbidden`, `input-not-found` (https) or `limit-exceeded`
   * @throws {ObjectNotFound} for a key, whose writer may be a moment behind
   * @throws {Retryable} `storage` or `network`
   */
  read(input: string, options?: ReadOptions): Promise<Buffer>;
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

/** @throws {UserError} when a bucket or a host rule cannot be read; nothing is connected to yet */
export function openInputs({ storage, buckets = [], https, storageOptions }: InputsOptions): Inputs {
  const others = new Map(buckets.map((bucket) => otherBucket(bucket, storage)));
  const openings = new Map<string, Promise<Storage>>();
  const own = storage.url.startsWith('s3:') ? parseStorageUrl(storage.url) : undefined;
  let reader: Promise<HttpsReader> | undefined;

  /** The storage and the key in it that `s3://bucket/key` names. */
  async function locate(input: string): Promise<{ from: Storage; key: string }> {
    const object = parseObjectUrl(input);
    if (!object) throw forbidden(input, 'it is not s3://bucket/key');
    const { bucket, key } = object;
    if (!isBucketName(bucket)) throw forbidden(input, BUCKET_NAME_WORDS);
    assertUserKey(key, 'input');
    // The runtime's folder lies at the end of a prefix, so it may be anywhere in a bucket.
    if (key.split('/').some(isRuntimeKey)) throw forbidden(input, 'it belongs to the runtime');
    const other = others.get(bucket);
    if (other) return { from: await opened(other.url), key: below(other.prefix, key, input) };
    if (own?.bucket === bucket) return { from: storage, key: below(own.prefix, key, input) };
    throw forbidden(input, `the bucket ${bucket} is not in STORAGE_BUCKETS`);
  }

  function opened(url: string): Promise<Storage> {
    const known = openings.get(url);
    if (known) return known;
    const opening = openStorage(url, storageOptions);
    openings.set(url, opening);
    return opening;
  }

  async function readHttps(input: string, options: ReadOptions): Promise<Buffer> {
    if (!https?.enabled) throw forbidden(input, 'https inputs are off (INPUT_HTTPS)');
    reader ??= import('./https.ts').then(({ httpsReader }) => httpsReader(https));
    return await (await reader)(input, options);
  }

  return {
    async read(input, options = {}) {
      if (/^https:\/\//i.test(input)) return await readHttps(input, options);
      if (/^s3:\/\//i.test(input)) {
        const { from, key } = await locate(input);
        return await from.read(key, options);
      }
      if (URL_LIKE.test(input)) throw forbidden(input, 'such URLs are not read');
      assertUserKey(input, 'input');
      return await storage.read(input, options);
    },
  };
}

/** A bucket of STORAGE_BUCKETS: its name, the part of it that is allowed, and how to open the whole. */
function otherBucket(text: string, storage: Storage): [bucket: string, { url: string; prefix: string }] {
  if (/^s3:\/\//i.test(text)) {
    const location = parseStorageUrl(text);
    return [location.bucket, { url: formatStorageUrl(location), prefix: location.prefix }];
  }
  if (!isBucketName(text)) {
    throw new UserError(
      `STORAGE_BUCKETS has "${redactUrl(text)}": expected a bucket's name or s3://bucket/prefix; ${BUCKET_NAME_WORDS}.`,
    );
  }
  const like = storage.url.startsWith('s3:') ? parseStorageUrl(storage.url) : parseStorageUrl(`s3://${text}`);
  return [text, { url: formatStorageUrl({ ...like, bucket: text, prefix: '' }), prefix: '' }];
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
