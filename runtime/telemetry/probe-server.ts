/** One small HTTP server for probes and scraping: /livez, /readyz, /metrics. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { UserError } from '../errors.ts';
import type { Metrics } from './metrics.ts';

/** Undefined when all is well, else the reason in words. */
export interface Health {
  /** Something only a restart can fix. */
  wedged(): string | undefined;
  /** Not able to take tasks now. */
  notReady(): string | undefined;
}

interface Address {
  /** 0 for any free one. */
  port: number;
  host?: string | undefined;
}

export class ProbeServer {
  readonly #health: Health;
  readonly #metrics: Metrics;
  readonly #server: Server;

  /** @throws UserError when the port is taken */
  static async open(address: Address, health: Health, metrics: Metrics): Promise<ProbeServer> {
    const server = new ProbeServer(health, metrics);
    await listen(server.#server, address);
    return server;
  }

  constructor(health: Health, metrics: Metrics) {
    this.#health = health;
    this.#metrics = metrics;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD')
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    else if (path === '/livez') tell(response, this.#health.wedged());
    else if (path === '/readyz') tell(response, this.#health.notReady());
    else if (path === '/metrics') void this.#metrics.handler(request, response);
    else response.writeHead(404).end('expected /livez, /readyz or /metrics\n');
  }
}

function tell(response: ServerResponse, problem: string | undefined): void {
  const status = problem === undefined ? 200 : 503;
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${problem ?? 'ok'}\n`);
}

function listen(server: Server, { port, host }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      const message = `HTTP_PORT: port ${port} is taken; choose another, or 0 for any free one.`;
      reject(new UserError(message, { cause: error }));
    });
    server.listen({ port, ...(host !== undefined && { host }) }, () => resolve());
  });
}
