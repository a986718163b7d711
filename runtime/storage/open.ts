/** The kinds of storage, each registered once, and how one is opened by its URL. */
import { UserError } from '../errors.ts';
import { redactUrl } from '../redact.ts';
import { BUCKET_NAME_RULE, isBucketName, parseS3Url, s3BucketUrl } from './s3-url.ts';
import type { Storage, StorageOptions } from './storage.ts';

export interface StorageBackend {
  /** What its URLs begin with, before the colon. */
  scheme: string;
  /** A URL of it, for people. */
  example: string;
  /**
   * Opens the storage, and loads only now what that needs.
   * @throws {UserError} when the URL cannot be used
   */
  open(url: string, options: StorageOptions): Promise<Storage>;
  /** What to do when it cannot be used, for people. */
  remedy: string;
  /** Names of the environment variables that its client reads by itself. */
  variables?: RegExp;
  /** For storage in buckets: inputs may name objects in others, as `scheme://bucket/key`. */
  buckets?: BucketNaming;
}

/** How a backend names its buckets, in STORAGE_BUCKETS and in inputs. */
export interface BucketNaming {
  isName(text: string): boolean;
  /** What a name may be, for people. */
  nameRule: string;
  /** @throws {UserError} when the URL does not name a bucket, or a folder in one */
  parse(url: string): { bucket: string; prefix: string };
  /** The URL of a whole bucket, on the same server as the bucket of another URL; default: the backend's own. */
  urlOf(bucket: string, beside?: string): string;
}

const FILE: StorageBackend = {
  scheme: 'file',
  example: 'file:///absolute/folder',
  open: async (url) => (await import('./open-file.ts')).openFileStorage(url),
  remedy: 'Let this user read and write in that folder, or set STORAGE_URL to another one.',
};

const S3: Required<StorageBackend> = {
  scheme: 's3',
  example: 's3://bucket/prefix?endpoint=…&region=…',
  open: async (url, options) => (await import('./s3.ts')).openS3Storage(url, options),
  remedy:
    'Check the bucket, endpoint and region in STORAGE_URL, the AWS_* credentials, and that they may s3:GetObject, ' +
    's3:PutObject, s3:DeleteObject and s3:ListBucket (without the last, an absent object looks forbidden).',
  variables: /^AWS_/,
  buckets: { isName: isBucketName, nameRule: BUCKET_NAME_RULE, parse: parseS3Url, urlOf: s3BucketUrl },
};

export const STORAGE_BACKENDS: readonly StorageBackend[] = [FILE, S3];
/** Where a bucket is looked for that is only named, beside a storage without buckets. */
export const DEFAULT_BUCKETS: Required<StorageBackend> = S3;

/** The folder used when `STORAGE_URL` is not set, relative to the working directory. */
export const DEFAULT_STORAGE_FOLDER = './darkroom-storage';

/**
 * Opens the storage that `STORAGE_URL` names: a URL of one of {@link STORAGE_BACKENDS}, or the path of a folder.
 *
 * @param url default: the folder {@link DEFAULT_STORAGE_FOLDER}
 * @throws {UserError} when the URL cannot be used
 */
export async function openStorage(url: string | undefined, options: StorageOptions = {}): Promise<Storage> {
  const target = url?.trim() || DEFAULT_STORAGE_FOLDER;
  const backend = hasScheme(target) ? backendOf(target) : FILE;
  if (backend !== undefined) return await backend.open(target, options);
  const examples = STORAGE_BACKENDS.map(({ example }) => example).join(' or ');
  throw new UserError(
    `STORAGE_URL ${redactUrl(target)} cannot be used: expected a folder's path, ${examples}.`,
  );
}

/** Whether a storage's client reads this environment variable, which a worker's child must then be given. */
export function isStorageVariable(name: string): boolean {
  return STORAGE_BACKENDS.some(({ variables }) => variables?.test(name));
}

/** The backend whose scheme a URL has. */
export function backendOf(url: string): StorageBackend | undefined {
  const scheme = url.slice(0, url.indexOf(':')).toLowerCase();
  return STORAGE_BACKENDS.find((backend) => backend.scheme === scheme);
}

/** A single letter before the colon is a Windows drive, not a scheme. */
export function hasScheme(text: string): boolean {
  return /^[a-z][a-z\d+.-]+:/i.test(text);
}
