/** Answers read by connections that have one buffer each: no byte is ever another's, however late it is looked at. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { withOneBuffer } from '../../../runtime/storage/one-buffer-agent.ts';

const BODY = randomBytes(3_000_000);
const ROUNDS = 12;

describe('a connection with one buffer', () => {
  it('gives every byte to a reader that copies at once', async () => {
    await using site = await startSite();
    for (let round = 0; round < ROUNDS; round++) {
      const into = Buffer.alloc(BODY.length);
      let filled = 0;
      const answer = await site.get();
      answer.on('data', (chunk: Buffer) => {
        filled += chunk.copy(into, filled);
      });
      await once(answer, 'end');
      expect(into.equals(BODY)).toBe(true);
    }
    expect(site.connections).toBe(1);
  });

  it('leaves what waits for a slow reader as it is', async () => {
    await using site = await startSite();
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await site.get();
      await sleep(10);
      const read: Buffer[] = [];
      for await (const chunk of answer) {
        read.push(Buffer.from(chunk));
        if (read.length % 4 === 0) await sleep(5);
      }
      expect(Buffer.concat(read).equals(BODY)).toBe(true);
    }
  });

  it('goes on after an answer that nobody reads, and after one that is broken off', async () => {
    await using site = await startSite();
    (await site.get()).resume();
    (await site.get()).destroy();
    const chunks = await Array.fromAsync(await site.get(), (chunk: Buffer) => Buffer.from(chunk));
    expect(Buffer.concat(chunks).equals(BODY)).toBe(true);
  });
});

interface Site extends AsyncDisposable {
  /** Connections that were made. */
  connections: number;
  get(): Promise<IncomingMessage>;
}

/** A server that sends the body in pieces of any size, some at once and some late. */
async function startSite(): Promise<Site> {
  const server = createServer(async (_, response) => {
    response.writeHead(200, { 'content-length': BODY.length });
    // Small pieces do not fill what a connection reads ahead: several wait in the answer at once.
    for (let at = 0; at < BODY.length; ) {
      const end = at + 1 + Math.floor(Math.random() ** 6 * 500_000);
      response.write(BODY.subarray(at, end));
      at = end;
      if (Math.random() < 0.3) await sleep(2);
    }
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = withOneBuffer(new Agent({ keepAlive: true }));
  const { port } = server.address() as AddressInfo;
  const site: Site = {
    connections: 0,
    async get() {
      const call = request({ host: '127.0.0.1', port, agent });
      call.end();
      const [answer] = (await once(call, 'response')) as [IncomingMessage];
      answer.on('error', () => {});
      return answer;
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  server.on('connection', () => site.connections++);
  return site;
}
