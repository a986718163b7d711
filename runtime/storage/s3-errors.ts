/** What an error of the AWS SDK means for a task. */
import { asError, Rejection, Retryable, TaskFailure } from '../errors.ts';
import { redactText } from '../redact.ts';

interface SdkError {
  name?: string;
  Code?: string;
  code?: string;
  $metadata?: { httpStatusCode?: number };
}

const NETWORK_CODES =
  /^(?:E(?:CONN\w+|PIPE|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN|PROTO)|ERR_(?:TLS|SSL|STREAM)\w*|CERT_\w+|\w*CERTIFICATE\w*|\w*_SIGNED_CERT\w*)$/;
const CREDENTIAL_ERRORS = [
  'AccessDenied',
  'Forbidden',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'RequestTimeTooSkewed',
  'CredentialsProviderError',
  'AccountProblem',
  'AllAccessDisabled',
];
const REGION_ERRORS = [
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
];

/** S3's name of an error, such as NoSuchKey. */
export function s3ErrorCode(error: unknown): string {
  const { Code, name, code } = error as SdkError;
  return Code ?? (name === 'Error' ? code : name) ?? 'unknown error';
}

export function s3StatusOf(error: unknown): number | undefined {
  return (error as SdkError).$metadata?.httpStatusCode;
}

/** The server does not want this kind of request, however often it is sent; another kind may do. */
export function isRefusedRequest(error: unknown): boolean {
  const status = s3StatusOf(error) ?? 0;
  return status === 501 || (status >= 400 && status < 500 && ![408, 429].includes(status));
}

/** For a missing object. The answer to HEAD has no body, so there the bucket may be missing instead. */
export function undefinedIfNotFound(error: unknown): undefined {
  const code = s3ErrorCode(error);
  if (code === 'NoSuchKey' || (s3StatusOf(error) === 404 && code !== 'NoSuchBucket')) return undefined;
  throw error;
}

/**
 * Nearly all is retried, also what S3 forbids: credentials are rotated, roles and buckets corrected, while the task
 * is not at fault.
 */
export function s3Failure(error: unknown, doing: string, url: string): Error {
  if (error instanceof TaskFailure) return error;
  const code = s3ErrorCode(error);
  const status = s3StatusOf(error);
  const what = `Cannot ${doing} in ${url}`;
  const detail = redactText(asError(error).message);
  const retry = (why: string, failureType: 'storage' | 'network' = 'storage') =>
    new Retryable(`${what}: ${why}.`, { failureType, cause: error });

  if (code === 'KeyTooLongError' || code === 'EntityTooLarge') {
    return new Rejection(`${what}: S3 refuses it as too long (${code}).`, {
      failureType: 'limit-exceeded',
      cause: error,
    });
  }
  if (code === 'NoSuchBucket') return retry('there is no such bucket; make it or correct STORAGE_URL');
  if (REGION_ERRORS.includes(code) || status === 301) {
    return retry(`the bucket is in another region (${code}); correct region= in STORAGE_URL`);
  }
  if (CREDENTIAL_ERRORS.includes(code) || status === 401 || status === 403) {
    return retry(`these credentials may not (${code}); check the AWS_* credentials and their policy`);
  }
  // First, because the SDK also calls a lost connection a TimeoutError.
  if (status === undefined && isNetworkError(error))
    return retry(`S3 cannot be reached (${detail})`, 'network');
  if (code === 'TimeoutError' || code === 'ETIMEDOUT') return retry('S3 did not answer in time', 'network');
  if (status === 429 || code === 'SlowDown') return retry(`S3 asks to slow down (${code})`);
  return retry(`S3 answered ${status === undefined ? '' : `${status} `}${code} (${detail})`);
}

function isNetworkError(error: unknown): boolean {
  for (
    let cause: unknown = error, depth = 0;
    cause instanceof Error && depth < 4;
    cause = cause.cause, depth++
  ) {
    if (NETWORK_CODES.test((cause as SdkError).code ?? '')) return true;
    if (cause.message === 'aborted') return true;
  }
  return false;
}
