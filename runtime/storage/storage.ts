/**
 * Where images come from and results go: one small interface over a folder or an S3 bucket, whose writes are
 * atomic and durable and whose keys cannot leave their root.
 */
import { Rejection, Retryable } from '../errors.ts';

export interface ReadOptions {
  /** More bytes than this are a {@link Rejection} `limit-exceeded`; default: no limit. */
  maxBytes?: number;
  /** Where the bytes go, where their number is known beforehand; default: a new buffer. */
  allocate?: (bytes: number) => Buffer;
  signal?: AbortSignal;
}

/** In one piece or several. */
export type Bytes = Uint8Array | readonly Uint8Array[];

export interface WriteOptions {
  /** MIME type, kept where the storage can (S3). */
  contentType?: string;
  /**
   * Leave what is already there; default false: replace it. After an answer of S3 was lost on the way, "already
   * there" may be what this very call wrote.
   */
  ifAbsent?: boolean;
  /**
   * They carry a checksum of their own, and whoever reads them looks at it: S3 is sent no other. Default false.
   */
  hasChecksum?: boolean;
  /**
   * A power cut before the call resolves may leave a part of them, whose reader can tell. Spares files one wait for the
   * disk. Default false: all or nothing.
   */
  mayTear?: boolean;
  signal?: AbortSignal;
}

export type StageOptions = Pick<WriteOptions, 'contentType' | 'signal'>;

/** A write that is held back at its last step; disposed of before that, nothing of it is left. */
export interface StagedWrite extends AsyncDisposable {
  /** Resolves, in every case, when that step is all there is left to do. */
  readonly ready: Promise<void>;
  /** Stores the bytes under their key. What went wrong on the way there is thrown here. */
  commit(): Promise<void>;
}

export interface ObjectStat {
  /** Size, bytes. */
  bytes: number;
  modified: Date;
}

export interface ListedObject extends ObjectStat {
  key: string;
}

/**
 * Keys are relative, `/`-separated and literal (nothing is percent-decoded); see `keys.ts` for what is refused.
 * Failures are {@link Retryable} `storage` or `network`, a refused key a {@link Rejection}; an aborted call
 * throws the signal's reason.
 */
export interface Storage {
  /** Canonical URL without secrets, for logs. */
  readonly url: string;
  /** The whole object; undefined when there is none. Throws {@link Rejection} `limit-exceeded` over `maxBytes`. */
  find(key: string, options?: ReadOptions): Promise<Buffer | undefined>;
  /** The same for an object that is expected to be there. Throws {@link ObjectNotFound}. */
  read(key: string, options?: ReadOptions): Promise<Buffer>;
  /**
   * Stores all the bytes or nothing; when it resolves they survive a crash of the machine.
   * @returns false only with `ifAbsent`, when something is already there; `read` gives that.
   */
  write(key: string, bytes: Bytes, options?: WriteOptions): Promise<boolean>;
  /** Begins a write whose bytes are seen under their key once it is committed; see {@link StagedWrite}. */
  stage(key: string, bytes: Uint8Array, options?: StageOptions): StagedWrite;
  /** Size and time of the object; undefined when there is none. */
  stat(key: string): Promise<ObjectStat | undefined>;
  /** Removes the object; an absent one is fine. */
  remove(key: string): Promise<void>;
  /**
   * Removes everything under the folder `prefix` (not keys that merely start so). The empty prefix is refused.
   * @param known keys in it: where looking for what is there costs (S3), these alone are removed
   */
  removeAll(prefix: string, known?: string[]): Promise<void>;
  /**
   * Every object under the folder `prefix`, in the byte order of keys. The empty prefix means everything but the
   * runtime's own `.darkroom/`, which is listed only when the prefix names it.
   */
  list(prefix: string): AsyncIterable<ListedObject>;
  /**
   * Whether only one of two `ifAbsent` writers at one moment is told that it stored: not every S3 server and not every
   * file system can promise that. Tries it with a small object.
   */
  keepsFirstWrite(): Promise<boolean>;
}

/** Follows the URL of a storage that does not. */
export const LAST_WRITE_WINS =
  'ignores conditional writes: of two writers at one moment, the last one wins, so two tasks with one id at once may both be told that they completed.';

export interface StorageOptions {
  /** How long a connection to S3 may stay silent, milliseconds; default 10 000. */
  idleTimeoutMs?: number;
  /** Tries of one S3 call, the first included; default 3. The task's own retries come on top. */
  attempts?: number;
  /** S3 credentials; default: the AWS SDK's own chain (environment, files, workload identity). */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** Called with what is worth a log line, such as a server without conditional writes. */
  warn?: (message: string) => void;
}

/** Nothing is stored under that key. Retryable: its writer may be a moment behind. */
export class ObjectNotFound extends Retryable {
  constructor(key: string, url: string, options?: ErrorOptions) {
    super(`Nothing is stored under "${key}" in ${url}.`, { ...options, failureType: 'input-not-found' });
  }
}

export function piecesOf(bytes: Bytes): readonly Uint8Array[] {
  return bytes instanceof Uint8Array ? [bytes] : bytes;
}

/** @param size for people, such as `30000000 bytes` */
export function tooLarge(name: string, size: string, maxBytes: number): Rejection {
  return new Rejection(`"${name}" has ${size}, over the limit of ${maxBytes} bytes.`, {
    failureType: 'limit-exceeded',
  });
}
