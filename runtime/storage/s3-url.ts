/** URLs of storage in S3, and the names of its buckets. */
import { UserError } from '../errors.ts';
import { redactUrl } from '../redact.ts';
import { isKey } from './keys.ts';

export interface S3Location {
  bucket: string;
  /** Folder-like, without slashes at its ends; '' is the whole bucket. */
  prefix: string;
  /** Default: AWS. */
  endpoint?: string;
  /** Default: the AWS SDK's own choice, or us-east-1 at another endpoint. */
  region?: string;
  /** Bucket in the path instead of the host name; default: only at another endpoint. */
  forcePathStyle: boolean;
}

/** The region where none is given: servers other than AWS ignore it. */
const OTHER_ENDPOINTS_REGION = 'us-east-1';
const BUCKET_NAME = /^[a-z\d][\w.-]{1,61}[a-z\d]$/i;
/** What servers accept as a bucket's name. Capitals and underscores are for buckets older than AWS's present rules. */
export const BUCKET_NAME_RULE =
  "a bucket's name has 3 to 63 letters, digits, dots, dashes or underscores, and begins and ends with a letter or digit";
const EXPECTED = 'Expected s3://bucket/prefix?endpoint=https://…&region=…&forcePathStyle=…';

/** @throws {UserError} */
export function parseS3Url(text: string): S3Location {
  const fail = (why: string): never => {
    throw new UserError(`S3 storage ${redactUrl(text)} cannot be used: ${why}. ${EXPECTED}.`);
  };
  const url = URL.canParse(text) ? new URL(text) : fail('it is not a URL');
  if (url.protocol !== 's3:') fail('it does not begin with s3://');
  if (url.username || url.password) fail('credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  if (url.host === '') fail('it does not name a bucket');
  if (!isBucketName(url.host)) fail(BUCKET_NAME_RULE);
  // The URL parser would remove them, and the prefix would not be the one that is written.
  if (/\/(?:\.|%2e){1,2}(?:[/?#]|$)/i.test(text.slice('s3://'.length)))
    fail('its prefix has a . or .. in it');
  const unknown = [...url.searchParams.keys()].find(
    (name) => !['endpoint', 'region', 'forcePathStyle'].includes(name),
  );
  if (unknown !== undefined) fail(`"${unknown}" is not known`);
  const prefix = decode(url.pathname).replace(/^\/|\/$/g, '');
  if (prefix !== '' && !isKey(prefix)) fail('its prefix is not a relative path');

  const endpoint = url.searchParams.get('endpoint') || undefined;
  if (endpoint && !isEndpoint(endpoint)) fail('its endpoint is not an http or https URL without credentials');
  const pathStyle = url.searchParams.get('forcePathStyle');
  if (pathStyle !== null && !['true', 'false'].includes(pathStyle))
    fail('forcePathStyle is neither true nor false');
  return {
    bucket: url.host,
    prefix,
    endpoint,
    region: url.searchParams.get('region') || (endpoint && OTHER_ENDPOINTS_REGION),
    forcePathStyle: pathStyle === null ? endpoint !== undefined : pathStyle === 'true',
  };
}

/** The URL that {@link parseS3Url} reads back; it holds no secrets. */
export function formatS3Url({ bucket, prefix, endpoint, region, forcePathStyle }: S3Location): string {
  const query = new URLSearchParams();
  if (endpoint) query.set('endpoint', endpoint);
  if (region) query.set('region', region);
  if (forcePathStyle !== (endpoint !== undefined)) query.set('forcePathStyle', String(forcePathStyle));
  const folder = prefix === '' ? '' : `/${prefix.split('/').map(encodeURIComponent).join('/')}`;
  return `s3://${bucket}${folder}${query.size > 0 ? `?${query}` : ''}`;
}

/** The URL of a whole bucket, on the same server as the bucket of another URL; default: AWS. */
export function s3BucketUrl(bucket: string, beside = `s3://${bucket}`): string {
  return formatS3Url({ ...parseS3Url(beside), bucket, prefix: '' });
}

export function isBucketName(text: string): boolean {
  return BUCKET_NAME.test(text);
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search } = new URL(text);
  return ['http:', 'https:'].includes(protocol) && !username && !password && !search;
}

function decode(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
