/** STORAGE_BUCKETS: the buckets beside the storage's own that inputs may name. */
import { UserError } from '../errors.ts';
import { redactUrl } from '../redact.ts';
import { type BucketNaming, backendOf, DEFAULT_BUCKETS, hasScheme } from './open.ts';

export interface AllowedBucket {
  /** What inputs begin with, before the colon. */
  scheme: string;
  bucket: string;
  /** Keys outside this folder are refused; '' allows all. */
  prefix: string;
  /** What to open: keys are relative to the prefix. */
  url: string;
}

/**
 * Reads an entry: a bucket's URL, or only its name, which is looked for where the storage is.
 * @throws {UserError} when it is neither
 */
export function parseAllowedBucket(text: string, storageUrl?: string): AllowedBucket {
  const named = bucketsOf(text);
  if (named !== undefined) {
    const { bucket, prefix } = named.buckets.parse(text);
    return { scheme: named.scheme, bucket, prefix, url: text };
  }
  const own = storageUrl === undefined ? undefined : bucketsOf(storageUrl);
  const { scheme, buckets } = own ?? DEFAULT_BUCKETS;
  if (buckets.isName(text)) {
    return { scheme, bucket: text, prefix: '', url: buckets.urlOf(text, own && storageUrl) };
  }
  throw new UserError(
    `STORAGE_BUCKETS has "${redactUrl(text)}": expected a bucket's name or ${scheme}://bucket/prefix; ${buckets.nameRule}.`,
  );
}

/** Whether {@link parseAllowedBucket} reads it. */
export function isAllowedBucket(text: string): boolean {
  try {
    parseAllowedBucket(text);
    return true;
  } catch {
    return false;
  }
}

/** The scheme of a URL and how its backend names buckets; undefined when it has none. */
export function bucketsOf(url: string): { scheme: string; buckets: BucketNaming } | undefined {
  const backend = hasScheme(url) ? backendOf(url) : undefined;
  return backend?.buckets && { scheme: backend.scheme, buckets: backend.buckets };
}
