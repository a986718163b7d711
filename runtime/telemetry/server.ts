/** One small HTTP server for probes and scraping: /livez, /readyz, /metrics. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../errors.ts';
import type { Metrics } from './metrics.ts';

/** Undefined when all is well, else the reason in words. */
export interface Health {
  /** Something only a restart can mend. */
  wedged(): string | undefined;
  /** Not able to take tasks now. */
  notReady(): string | undefined;
}

export interface ProbeServer {
  port: number;
  close(): Promise<void>;
}

export async function startProbeServer(
  at: { port: number; host?: string | undefined },
  health: Health,
  metrics: Metrics,
): Promise<ProbeServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    const answer = (problem: string | undefined) =>
      response
        .writeHead(problem === undefined ? 200 : 503, { 'content-type': 'text/plain; charset=utf-8' })
        .end(`${problem ?? 'ok'}\n`);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return response.writeHead(405, { allow: 'GET, HEAD' }).end();
    if (path === '/livez') return answer(health.wedged());
    if (path === '/readyz') return answer(health.notReady());
    if (path === '/metrics') return void metrics.handler(request, response);
    return response.writeHead(404).end('expected /livez, /readyz or /metrics\n');
  });
  await listen(server, at);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { port, host }: { port: number; host?: string | undefined }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(
        taken
          ? new UserError(`HTTP_PORT: port ${port} is taken; choose another, or 0 for any free one.`, {
              cause: error,
            })
          : error,
      );
    });
    server.listen({ port, ...(host !== undefined && { host }) }, () => resolve());
  });
}
