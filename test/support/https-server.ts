/** An HTTPS server on loopback with a certificate of its own, for tests of what fetches from one. */
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { selfSignedCertificate } from './certificates.ts';

export interface HttpsServer extends AsyncDisposable {
  readonly port: number;
  /** PEM; trusted by a client that is given it. */
  readonly ca: string;
  readonly requests: IncomingMessage[];
}

export async function startHttpsServer(names: string[], answer: RequestListener): Promise<HttpsServer> {
  const { key, cert } = await selfSignedCertificate(names);
  const requests: IncomingMessage[] = [];
  const server = createServer({ key, cert }, (request, response) => {
    requests.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    ca: cert,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
