/** A TCP proxy on loopback that misbehaves on request, as networks and dying hosts do. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as openSocket, type Server, type Socket } from 'node:net';

const AMQP_PORT = 5672;
const THROTTLE_TICK_MS = 100;

/** How a connection ends: by TCP reset, or in good order (FIN). */
type Cut = 'reset' | 'end';

interface Pair {
  client: Socket;
  server: Socket;
  /** Bytes from the server that may still pass; undefined is without limit. */
  left: number | undefined;
  how: Cut;
  dead: boolean;
}

/** Before the broker at `url`. */
export async function startFaultProxy(url: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(url);
  const proxy = new FaultProxy(hostname, Number(port) || AMQP_PORT);
  await proxy.listen();
  return proxy;
}

export class FaultProxy implements AsyncDisposable {
  /** Connections accepted so far. */
  accepted = 0;
  port = 0;
  readonly #host: string;
  readonly #targetPort: number;
  readonly #pairs = new Set<Pair>();
  readonly #forsaken = new Set<Socket>();
  #listener: Server | undefined;
  #isHolding = false;
  #bytesPerSecond: number | undefined;
  #nextCut: { bytes: number; how: Cut } | undefined;

  constructor(host: string, targetPort: number) {
    this.#host = host;
    this.#targetPort = targetPort;
  }

  async listen(): Promise<void> {
    this.#listener = createServer((client) => this.#join(client)).listen(this.port, '127.0.0.1');
    await once(this.#listener, 'listening');
    this.port = (this.#listener.address() as AddressInfo).port;
  }

  /** Connections open now. */
  get open(): number {
    return this.#pairs.size;
  }

  /** `url` with this proxy's address in place of its own. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String(this.port);
    return changed.href;
  }

  /** Ends all connections by TCP reset. */
  reset(): void {
    for (const pair of [...this.#pairs]) this.#finish(pair, 'reset');
  }

  /** Ends all connections in good order. */
  end(): void {
    for (const pair of [...this.#pairs]) this.#finish(pair, 'end');
  }

  /** Passes no byte on, in either direction, on old and new connections alike; none is closed. Until {@link heal}. */
  blackHole(): void {
    this.#isHolding = true;
    for (const socket of this.#sockets()) socket.pause();
  }

  /** The far host vanishes from the connections open now, which stay open and are never answered; new ones work. */
  halfOpen(): void {
    for (const pair of [...this.#pairs]) {
      this.#pairs.delete(pair);
      pair.dead = true;
      pair.server.destroy();
      // Kept for disposal, so that the client's side stays open until then.
      this.#forsaken.add(pair.client);
    }
  }

  /** Passes on so many bytes a second in each direction, on old and new connections. Until {@link heal}. */
  throttle(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
    for (const socket of this.#sockets()) this.#trickle(socket);
  }

  /** Takes no connections (connection refused). Until {@link heal}. */
  async refuse(): Promise<void> {
    const closing = this.#listener;
    this.#listener = undefined;
    this.reset();
    if (closing !== undefined) await new Promise((resolve) => closing.close(resolve));
  }

  /** Cuts the next connection when it has passed on `bytes` from the server to the client. */
  cutNext(bytes: number, how: Cut = 'reset'): void {
    this.#nextCut = { bytes, how };
  }

  /** Writes bytes to the server on the newest connection, as if its client had sent them. */
  inject(bytes: Buffer): void {
    [...this.#pairs].at(-1)?.server.write(bytes);
  }

  /** Ends black hole, throttle and refusal. */
  async heal(): Promise<void> {
    this.#isHolding = false;
    this.#bytesPerSecond = undefined;
    for (const socket of this.#sockets()) socket.resume();
    if (this.#listener === undefined) await this.listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#forsaken) socket.destroy();
    await this.refuse();
  }

  #sockets(): Socket[] {
    return [...this.#pairs].flatMap(({ client, server }) => [client, server]);
  }

  #join(client: Socket): void {
    this.accepted++;
    const server = openSocket({ port: this.#targetPort, host: this.#host });
    const { bytes: left, how = 'reset' } = this.#nextCut ?? {};
    const pair: Pair = { client, server, left, how, dead: false };
    this.#nextCut = undefined;
    this.#pairs.add(pair);
    this.#relay(pair, client, server);
    this.#relay(pair, server, client);
    if (left === 0) this.#finish(pair, how);
  }

  #relay(pair: Pair, from: Socket, to: Socket): void {
    from.setNoDelay(true);
    from.on('error', () => {});
    from.on('close', () => {
      if (pair.dead) return;
      this.#pairs.delete(pair);
      to.destroy();
    });
    from.on('data', (chunk: Buffer) => {
      if (pair.dead) return;
      const passed = from === pair.server && pair.left !== undefined ? chunk.subarray(0, pair.left) : chunk;
      this.#send(from, to, passed);
      if (pair.left === undefined || from !== pair.server) return;
      pair.left -= passed.length;
      if (pair.left === 0) this.#finish(pair, pair.how);
    });
    if (this.#isHolding) from.pause();
    if (this.#bytesPerSecond !== undefined) this.#trickle(from);
  }

  #send(from: Socket, to: Socket, chunk: Buffer): void {
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => {
      if (!this.#isHolding && this.#bytesPerSecond === undefined) from.resume();
    });
  }

  /** Reads a few bytes each tick instead of letting them flow. */
  #trickle(from: Socket): void {
    from.pause();
    let budget = 0;
    const timer = setInterval(() => {
      if (this.#bytesPerSecond === undefined || from.destroyed) return clearInterval(timer);
      budget += (this.#bytesPerSecond * THROTTLE_TICK_MS) / 1000;
      const chunk = budget >= 1 ? from.read(Math.min(Math.floor(budget), from.readableLength)) : null;
      if (chunk === null) return;
      budget -= chunk.length;
      from.emit('data', chunk);
    }, THROTTLE_TICK_MS);
  }

  #finish(pair: Pair, how: Cut): void {
    const { client, server } = pair;
    this.#pairs.delete(pair);
    pair.dead = true;
    // What was written to the client before the cut still has to reach it.
    if (how === 'end') client.end(() => client.destroy());
    else if (client.writableLength > 0) client.once('drain', () => client.resetAndDestroy());
    else setImmediate(() => client.resetAndDestroy());
    server.destroy();
  }
}
