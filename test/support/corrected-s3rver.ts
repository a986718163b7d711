/**
 * s3rver, an S3 server from the npm registry, with its faults corrected in front of it: it does not know conditional
 * writes, fails at several deletions at once, lists keys out of order, escapes them twice and fails on the second page of
 * a list, and compares signatures of bucket requests with another path than the SDK signs (so `s3-server.ts` compares them).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import type { RequestListener, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import S3rver from '@20minutes/s3rver';

/** The one account that s3rver knows, its key and its secret. */
export const S3RVER_ACCOUNT = 'S3RVER';
const PAGE_KEYS = 1000;
/** From a racy server's look to its write. */
const RACE_MS = 100;

/** What becomes of `If-None-Match: *` on a write. 'racy' looks first and writes later, 'unknown' answers 501. */
export type ConditionalWrites = 'supported' | 'ignored' | 'racy' | 'unknown';

export interface Backend extends AsyncDisposable {
  answer: RequestListener;
}

export async function startS3rver(bucket: string, conditionalWrites: ConditionalWrites): Promise<Backend> {
  const directory = await mkdtemp(path.join(tmpdir(), 'darkroom-s3-'));
  const s3rver = new S3rver({
    directory,
    silent: true,
    vhostBuckets: false,
    allowMismatchedSignatures: true,
    configureBuckets: [{ name: bucket }],
  });
  await s3rver.configureBuckets();
  deleteInTurn(s3rver);
  const put = conditionally(s3rver, s3rver.callback(), conditionalWrites);
  return {
    answer: (request, response) => {
      const url = new URL(request.url!, 'http://localhost');
      if (request.method === 'GET' && url.searchParams.get('list-type') === '2') {
        return list(s3rver, url, response).catch((error) =>
          sendError(response, 500, 'InternalError', String(error)),
        );
      }
      return put(request, response);
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** At once, s3rver stumbles over folders that one deletion has removed and another looks into. */
function deleteInTurn({ store }: S3rver): void {
  const deleteObject = store.deleteObject.bind(store);
  let last: Promise<unknown> = Promise.resolve();
  store.deleteObject = (bucket, key) => {
    const mine = last.then(() => deleteObject(bucket, key));
    last = mine.catch(() => {});
    return mine;
  };
}

/** Of several writers of a new key, one succeeds and the others are told so. */
function conditionally(s3rver: S3rver, answer: RequestListener, mode: ConditionalWrites): RequestListener {
  const writing = new Map<string, Promise<void>>();
  return async (request, response) => {
    const isConditional = request.method === 'PUT' && request.headers['if-none-match'] === '*';
    if (!isConditional || mode === 'ignored') return answer(request, response);
    if (mode === 'unknown') {
      request.resume();
      return sendError(response, 501, 'NotImplemented');
    }
    const target = decodeURIComponent(request.url!.split('?')[0]!);
    while (mode === 'supported' && writing.has(target)) await writing.get(target);
    const { promise, resolve } = Promise.withResolvers<void>();
    writing.set(target, promise);
    response.once('close', () => {
      writing.delete(target);
      resolve();
    });
    const [, bucket, ...key] = target.split('/');
    if (!(await s3rver.store.existsObject(bucket!, key.join('/')))) {
      if (mode === 'racy') await sleep(RACE_MS);
      return answer(request, response);
    }
    request.resume();
    sendError(response, 412, 'PreconditionFailed');
  };
}

/** ListObjectsV2, as far as a client without delimiters needs it; the token is the last key of the page before. */
async function list(s3rver: S3rver, url: URL, response: ServerResponse): Promise<void> {
  const bucket = url.pathname.split('/')[1]!;
  const prefix = url.searchParams.get('prefix') ?? '';
  const after = Buffer.from(url.searchParams.get('continuation-token') ?? '', 'base64');
  const { objects } = await s3rver.store.listObjects(bucket, { prefix });
  const rest = objects
    .map(({ key, metadata }) => ({ key, bytes: Buffer.from(key), metadata }))
    .filter(({ bytes }) => Buffer.compare(bytes, after) > 0)
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const page = rest.slice(0, PAGE_KEYS);
  const isTruncated = rest.length > page.length;
  const contents = page.map(
    ({ key, metadata }) =>
      `<Contents><Key>${escapeXml(key)}</Key><Size>${metadata['content-length']}</Size>` +
      `<LastModified>${new Date(metadata['last-modified']!).toISOString()}</LastModified></Contents>`,
  );
  const token = isTruncated
    ? `<NextContinuationToken>${page.at(-1)!.bytes.toString('base64')}</NextContinuationToken>`
    : '';
  response.writeHead(200, { 'content-type': 'application/xml' });
  response.end(
    `<ListBucketResult><Name>${bucket}</Name><KeyCount>${page.length}</KeyCount>` +
      `<IsTruncated>${isTruncated}</IsTruncated>${token}${contents.join('')}</ListBucketResult>`,
  );
}

export function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  message = 'As the test asked',
): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`);
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}
