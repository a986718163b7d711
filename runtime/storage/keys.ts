/** Which keys a storage accepts: relative, `/`-separated names that cannot leave their root on any system. */
import { Rejection } from '../errors.ts';
import { shorten } from '../redact.ts';

/** The folder that belongs to the runtime: intermediates, markers, temporary files. */
export const RUNTIME_FOLDER = '.darkroom';

/** Unfinished writes: on the same file system as the results, because rename does not cross those. */
export const TEMPORARY_FOLDER = `${RUNTIME_FOLDER}/tmp`;

/** S3 allows 1,024 bytes for prefix and key together; the rest is left for the prefix. */
const MAX_KEY_BYTES = 900;
/** What ext4, XFS, APFS and NTFS allow for one name. */
const MAX_SEGMENT_BYTES = 255;

/** The field of a task that a key came from: it decides the failure type and starts the message. */
export type KeyField = 'input' | 'output.key' | 'key';

/**
 * Refuses what a sender may not name: a malformed key, or one inside the runtime's own folder.
 * @throws {Rejection} `input-forbidden` for an input, else `invalid-task`
 */
export function assertUserKey(key: string, field: KeyField = 'key'): void {
  assertKey(key, field);
  if (isRuntimeKey(key)) refuse(key, field, `${RUNTIME_FOLDER}/ is reserved for the runtime`);
}

/**
 * Refuses a malformed key. The runtime's own keys pass.
 * @throws {Rejection} `input-forbidden` for an input, else `invalid-task`
 */
export function assertKey(key: string, field: KeyField = 'key'): void {
  const fault = keyFault(key);
  if (fault) refuse(key, field, fault);
}

/**
 * Refuses a key that a storage in a folder has no file for, or that this system reads as something else.
 * @throws {Rejection} `invalid-task`
 */
export function assertFileKey(key: string): void {
  assertKey(key);
  if (key === TEMPORARY_FOLDER || key.startsWith(`${TEMPORARY_FOLDER}/`)) {
    throw new Rejection(`key "${key}" cannot be used: ${TEMPORARY_FOLDER}/ holds unfinished writes.`, {
      failureType: 'invalid-task',
    });
  }
  // Windows reads devices and streams where others read names.
  if (
    process.platform === 'win32' &&
    /[<>:"|?*]|(?:^|\/)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\/|$)/i.test(key)
  ) {
    throw new Rejection(`key "${key}" cannot be used: Windows gives it another meaning.`, {
      failureType: 'invalid-task',
    });
  }
}

/** Whether a key is in the runtime's folder on any file system, also on one that ignores case or a final dot. */
export function isRuntimeKey(key: string): boolean {
  const first = key.split('/', 1)[0] ?? '';
  const folded = first
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
    .replace(/:.*$/, '') // an NTFS stream
    .replace(/[. ]+$/, '');
  return folded === RUNTIME_FOLDER || /^darkro~\d+$/.test(folded); // the second: its 8.3 name
}

/** Whether a name found in a storage is a key that it would accept. */
export function isKey(key: string): boolean {
  return keyFault(key) === undefined;
}

/** What is wrong with a key, for people; undefined for a good one. */
function keyFault(key: unknown): string | undefined {
  if (typeof key !== 'string') return 'it is not text';
  if (key === '') return 'it is empty';
  if (!key.isWellFormed()) return 'it is not well-formed Unicode';
  if (/[\p{Cc}\u2028\u2029]/u.test(key)) return 'it contains a control character';
  if (key.includes('\\')) return 'it contains a backslash; folders are separated by /';
  if (key.startsWith('/') || /^[a-z]:/i.test(key)) return 'it is absolute';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`;
  return segmentFault(key.split('/'));
}

function segmentFault(segments: string[]): string | undefined {
  if (segments.includes('')) return 'it has an empty segment (// or a / at the end)';
  // Windows drops final dots and spaces, so "..." and ".. " are ".." there.
  if (segments.some((segment) => /^[. ]*$/.test(segment))) return 'it has a segment of dots or spaces only';
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    return `a segment is longer than ${MAX_SEGMENT_BYTES} bytes`;
  }
  return undefined;
}

function refuse(key: unknown, field: KeyField, fault: string): never {
  const shown = shorten(JSON.stringify(key) ?? String(key));
  throw new Rejection(
    `${field} ${shown} cannot be used: ${fault}. Expected a relative key such as "photos/cat.jpg".`,
    {
      failureType: field === 'input' ? 'input-forbidden' : 'invalid-task',
    },
  );
}
