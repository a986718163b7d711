/** A real server that an https reader takes for a public one. */
import type { RequestListener } from 'node:http';
import { type HttpsOptions, type HttpsReader, httpsReader } from '../../../runtime/storage/https.ts';
import { type HttpsServer, startHttpsServer } from '../../support/https-server.ts';

export const HOST = 'images.example';

export interface HttpsSite extends AsyncDisposable {
  server: HttpsServer;
  read: HttpsReader;
  url(path: string): string;
}

/** A server, and a reader that takes it for the public host {@link HOST}. */
export async function startHttpsSite(
  answer: RequestListener,
  options: Partial<HttpsOptions> = {},
): Promise<HttpsSite> {
  const server = await startHttpsServer([HOST, 'xn--bcher-kva.test', '127.0.0.1'], answer);
  const read = httpsReader({
    enabled: true,
    hosts: [`${HOST}:${server.port}`],
    ca: server.ca,
    resolve: async () => ['127.0.0.1'],
    isAllowedAddress: (address) => address === '127.0.0.1',
    ...options,
  });
  return {
    server,
    read,
    url: (path) => `https://${HOST}:${server.port}${path}`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
