/** A TCP proxy on loopback that misbehaves on request, as networks and dying hosts do. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as openSocket, type Server, type Socket } from 'node:net';

export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** `url` with this proxy's address in place of its own. */
  through(url: string): string;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Ends all connections by TCP reset. */
  reset(): void;
  /** Ends all connections in good order (FIN). */
  end(): void;
  /** Passes no byte on, in either direction, on old and new connections alike; none is closed. Until {@link heal}. */
  blackHole(): void;
  /** The far host vanishes from the connections open now, which stay open and are never answered; new ones work. */
  halfOpen(): void;
  /** Passes on so many bytes a second in each direction, on old and new connections. Until {@link heal}. */
  throttle(bytesPerSecond: number): void;
  /** Takes no connections (connection refused). Until {@link heal}. */
  refuse(): Promise<void>;
  /** Cuts the next connection when it has passed on `bytes` from the server to the client. */
  cutNext(bytes: number, how?: 'reset' | 'end'): void;
  /** Writes bytes to the server on the newest connection, as if its client had sent them. */
  inject(bytes: Buffer): void;
  /** Ends black hole, throttle and refusal. */
  heal(): Promise<void>;
}

const THROTTLE_TICK_MS = 100;

interface Pair {
  client: Socket;
  server: Socket;
  /** Bytes from the server that may still pass; undefined is without limit. */
  left: number | undefined;
  how: 'reset' | 'end';
  dead: boolean;
}

export async function startFaultProxy(target: { port: number; host?: string }): Promise<FaultProxy> {
  const pairs = new Set<Pair>();
  const forsaken = new Set<Socket>();
  const accept = (client: Socket) => join(client);
  let listener: Server | undefined = createServer(accept).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  let accepted = 0;
  let holding = false;
  let bytesPerSecond: number | undefined;
  let cut: { bytes: number; how: 'reset' | 'end' } | undefined;

  function join(client: Socket) {
    accepted++;
    const server = openSocket({ port: target.port, host: target.host ?? '127.0.0.1' });
    const pair: Pair = { client, server, left: cut?.bytes, how: cut?.how ?? 'reset', dead: false };
    cut = undefined;
    pairs.add(pair);
    client.setNoDelay(true);
    server.setNoDelay(true);
    relay(pair, client, server);
    relay(pair, server, client);
    if (pair.left === 0) finish(pair, pair.how);
  }

  function relay(pair: Pair, from: Socket, to: Socket) {
    from.on('error', () => {});
    from.on('close', () => {
      if (pair.dead) return;
      pairs.delete(pair);
      to.destroy();
    });
    from.on('data', (chunk: Buffer) => {
      if (pair.dead) return;
      const passed = from === pair.server && pair.left !== undefined ? chunk.subarray(0, pair.left) : chunk;
      send(pair, to, passed);
      if (pair.left === undefined || from !== pair.server) return;
      pair.left -= passed.length;
      if (pair.left === 0) finish(pair, pair.how);
    });
    if (holding) from.pause();
    if (bytesPerSecond !== undefined) trickle(from);
  }

  function send(pair: Pair, to: Socket, chunk: Buffer) {
    if (to.write(chunk)) return;
    const from = to === pair.client ? pair.server : pair.client;
    from.pause();
    to.once('drain', () => {
      if (!holding && bytesPerSecond === undefined) from.resume();
    });
  }

  /** Reads a few bytes each tick instead of letting them flow. */
  function trickle(from: Socket) {
    from.pause();
    let budget = 0;
    const timer = setInterval(() => {
      if (bytesPerSecond === undefined || from.destroyed) return clearInterval(timer);
      budget += (bytesPerSecond * THROTTLE_TICK_MS) / 1000;
      if (budget < 1) return;
      // Emits 'data' as well.
      const chunk = from.read(Math.min(Math.floor(budget), from.readableLength));
      budget -= chunk?.length ?? 0;
    }, THROTTLE_TICK_MS);
  }

  function finish(pair: Pair, how: 'reset' | 'end') {
    pairs.delete(pair);
    pair.dead = true;
    // What was written to the client before the cut still has to reach it.
    if (how === 'end') pair.client.end(() => pair.client.destroy());
    else if (pair.client.writableLength > 0) pair.client.once('drain', () => pair.client.resetAndDestroy());
    else setImmediate(() => pair.client.resetAndDestroy());
    pair.server.destroy();
  }

  async function refuse() {
    const closing = listener;
    listener = undefined;
    for (const pair of [...pairs]) finish(pair, 'reset');
    if (closing !== undefined) await new Promise((resolve) => closing.close(resolve));
  }

  return {
    port,
    through(url) {
      const changed = new URL(url);
      changed.hostname = '127.0.0.1';
      changed.port = String(port);
      return changed.href;
    },
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size;
    },
    reset() {
      for (const pair of [...pairs]) finish(pair, 'reset');
    },
    end() {
      for (const pair of [...pairs]) finish(pair, 'end');
    },
    blackHole() {
      holding = true;
      for (const { client, server } of pairs) for (const socket of [client, server]) socket.pause();
    },
    halfOpen() {
      for (const pair of [...pairs]) {
        pairs.delete(pair);
        pair.dead = true;
        pair.server.destroy();
        // Kept for disposal, so that the client's side stays open until then.
        forsaken.add(pair.client);
      }
    },
    throttle(rate) {
      bytesPerSecond = rate;
      for (const { client, server } of pairs) for (const socket of [client, server]) trickle(socket);
    },
    refuse,
    cutNext(bytes, how = 'reset') {
      cut = { bytes, how };
    },
    inject(bytes) {
      [...pairs].at(-1)?.server.write(bytes);
    },
    async heal() {
      holding = false;
      bytesPerSecond = undefined;
      for (const { client, server } of pairs) for (const socket of [client, server]) socket.resume();
      if (listener !== undefined) return;
      listener = createServer(accept).listen(port, '127.0.0.1');
      await once(listener, 'listening');
    },
    async [Symbol.asyncDispose]() {
      for (const socket of forsaken) socket.destroy();
      await refuse();
    },
  };
}
