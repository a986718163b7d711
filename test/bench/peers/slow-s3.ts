/**
 * An S3 server in a process of its own, which answers each request after a delay, as one across a network does, and
 * counts them. What it costs is not the worker's.
 */
import { fileURLToPath } from 'node:url';
import { openStorage } from '../../../runtime/storage/open.ts';
import { type S3Server, startS3Server } from '../../support/s3-server.ts';
import { AskedProcess, answerLines } from '../asked-process.ts';

const HERE = fileURLToPath(import.meta.url);

/** Requests by method; LIST is a GET of the bucket. */
export type RequestCounts = Record<string, number>;

export interface SlowS3 extends AsyncDisposable {
  url: string;
  /** Credentials for the environment of a worker. */
  env: S3Server['env'];
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** From now on; 0 is at once. @param bytesPerMs default: as fast as it can */
  delay(ms: number, bytesPerMs?: number): Promise<void>;
  /** Since the last call. */
  requests(): Promise<RequestCounts>;
}

/** @param cpu the only processor that it may use */
export async function startSlowS3(cpu?: number): Promise<SlowS3> {
  const server = new AskedProcess<unknown>(process.execPath, [HERE], { cpu });
  const { url, env, credentials } = JSON.parse(await server.next()) as S3Server;
  const storage = await openStorage(url, { credentials });
  return {
    url,
    env,
    put: async (key, bytes) => void (await storage.write(key, bytes)),
    delay: async (ms, bytesPerMs) => void (await server.ask(`delay ${ms} ${bytesPerMs ?? ''}`)),
    requests: async () => (await server.ask('requests')) as RequestCounts,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function serve(): Promise<void> {
  await using server = await startS3Server();
  const { url, env, credentials } = server;
  console.log(JSON.stringify({ url, env, credentials }));
  await answerLines(async (line) => {
    if (line === 'requests') return countsOf(server.requests.splice(0));
    const [, delayMs, bytesPerMs] = line.split(' ').map(Number);
    const pace = bytesPerMs ? { bytesPerMs } : {};
    server.fault(delayMs === 0 ? undefined : { kind: 'slow', delayMs: delayMs!, ...pace });
    return {};
  });
}

function countsOf(requests: string[]): RequestCounts {
  const counts: RequestCounts = {};
  for (const request of requests) {
    const [, method = '', key] = /^(\w+) \/[^/]+\/?(.*)$/.exec(request) ?? [];
    const kind = method === 'GET' && key === '' ? 'LIST' : method;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

if (import.meta.main) await serve();
