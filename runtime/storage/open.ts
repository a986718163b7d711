/** Opens the storage that an address names, and loads only what that one needs. */
import { UserError } from '../errors.ts';
import { redactUrl } from '../redact.ts';
import type { Storage, StorageOptions } from './storage.ts';

/** The folder used when `STORAGE_URL` is not set, relative to the working directory. */
export const DEFAULT_STORAGE_FOLDER = './darkroom-storage';

/**
 * Opens the storage that `STORAGE_URL` names: `file:///absolute/folder`, a plain path, or
 * `s3://bucket/prefix?endpoint=…&region=…&forcePathStyle=true`. The AWS SDK is loaded for S3 only.
 *
 * @param url default: the folder {@link DEFAULT_STORAGE_FOLDER}
 * @throws {UserError} when the URL cannot be used
 */
export async function openStorage(url: string | undefined, options: StorageOptions = {}): Promise<Storage> {
  const target = url?.trim() || DEFAULT_STORAGE_FOLDER;
  // A single letter before the colon is a Windows drive, not a scheme.
  const scheme = /^([a-z][a-z\d+.-]+):/i.exec(target)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'file') {
    const { openFileStorage } = await import('./file.ts');
    return openFileStorage(target);
  }
  if (scheme === 's3') {
    const { openS3Storage } = await import('./s3.ts');
    return openS3Storage(target, options);
  }
  throw new UserError(
    `STORAGE_URL ${redactUrl(target)} cannot be used: expected file:///absolute/folder, a folder's path, ` +
      'or s3://bucket/prefix?endpoint=…&region=….',
  );
}
