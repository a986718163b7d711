/** Fetching `https` inputs from a real server, which the seams of the resolver and the address check let in. */
import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { Rejection, Retryable } from '../../../runtime/errors.ts';
import { HOST, startHttpsSite } from './https-site.ts';

test('fetches the bytes from the checked address, with the name of the host', async () => {
  const image = Buffer.from('an image');
  await using site = await startHttpsSite((_request, response) => response.end(image));

  const bytes = await site.read(site.url('/cat.png?size=2#part'));

  expect(bytes.equals(image)).toBe(true);
  const [request] = site.server.requests;
  expect(request?.url).toBe('/cat.png?size=2');
  expect(request?.headers).toMatchObject({
    host: `${HOST}:${site.server.port}`,
    'accept-encoding': 'identity',
  });
});

test('resolves a host once for each request and never connects to a later answer', async () => {
  const answers = [['127.0.0.1'], ['10.0.0.1']];
  await using site = await startHttpsSite((_request, response) => response.end('x'), {
    resolve: async () => answers.shift()!,
  });

  await site.read(site.url('/first'));

  expect(answers).toHaveLength(1);
  await expect(site.read(site.url('/second'))).rejects.toMatchObject({ failureType: 'input-forbidden' });
  expect(site.server.requests).toHaveLength(1);
});

test('refuses a host one of whose addresses is not public', async () => {
  await using site = await startHttpsSite((_request, response) => response.end('x'), {
    resolve: async () => ['127.0.0.1', '192.168.0.1'],
  });

  const reading = site.read(site.url('/'));

  await expect(reading).rejects.toBeInstanceOf(Rejection);
  await expect(reading).rejects.toThrow('192.168.0.1, which is not a public address');
  expect(site.server.requests).toHaveLength(0);
});

test('refuses loopback without the seam', async () => {
  await using site = await startHttpsSite((_request, response) => response.end('x'), {
    isAllowedAddress: undefined,
  });

  await expect(site.read(site.url('/'))).rejects.toMatchObject({ failureType: 'input-forbidden' });
  expect(site.server.requests).toHaveLength(0);
});

test('follows up to three redirects and forgets their cookies', async () => {
  await using site = await startHttpsSite((request, response) => {
    const left = Number(request.url!.slice(1));
    if (left === 0) return response.end('arrived');
    return response.writeHead(302, { location: `/${left - 1}`, 'set-cookie': 'a=b' }).end();
  });

  expect(String(await site.read(site.url('/3')))).toBe('arrived');
  expect(site.server.requests.map(({ headers }) => headers.cookie)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  await expect(site.read(site.url('/4'))).rejects.toThrow('redirected more than 3 times');
});

test.each([
  'http://images.example/',
  'https://127.0.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://[::ffff:169.254.169.254]/',
  'https://other.example/',
  'https://images.example/', // another port than the allowed one
  'file:///etc/passwd',
  'https://user:CANARY@images.example/',
  'https://',
  '',
])('refuses a redirect to %j', async (target) => {
  await using site = await startHttpsSite((_request, response) => {
    response.writeHead(307, target === '' ? {} : { location: target }).end();
  });

  const error = await site.read(site.url('/')).catch((thrown: unknown) => thrown);

  expect(error).toMatchObject({ failureType: 'input-forbidden', consequence: 'reject' });
  expect(String(error)).not.toContain('CANARY');
  expect(site.server.requests).toHaveLength(1);
});

test('checks the address again after a redirect', async () => {
  const answers = [['127.0.0.1'], ['10.0.0.1']];
  await using site = await startHttpsSite(
    (_request, response) => response.writeHead(301, { location: '/again' }).end(),
    {
      resolve: async () => answers.shift()!,
    },
  );

  await expect(site.read(site.url('/'))).rejects.toThrow('10.0.0.1');
  expect(site.server.requests).toHaveLength(1);
});

test('stops at the byte limit, announced or not', async () => {
  let sent = 0;
  await using site = await startHttpsSite((request, response) => {
    if (request.url === '/announced')
      return response.writeHead(200, { 'content-length': 5000 }).end(Buffer.alloc(5000));
    const pour = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
    };
    response.on('drain', pour);
    return pour();
  });

  await expect(site.read(site.url('/announced'), { maxBytes: 4999 })).rejects.toMatchObject({
    failureType: 'limit-exceeded',
  });
  await expect(site.read(site.url('/endless'), { maxBytes: 1_000_000 })).rejects.toMatchObject({
    failureType: 'limit-exceeded',
    consequence: 'reject',
  });
  expect(sent).toBeLessThan(50_000_000);
  expect((await site.read(site.url('/announced'), { maxBytes: 5000 })).length).toBe(5000);
});

test('refuses a packed answer instead of unpacking it', async () => {
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  await using site = await startHttpsSite((_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
  );

  await expect(site.read(site.url('/'))).rejects.toThrow('content-encoding gzip');
});

test.each([
  [404, Rejection, 'input-not-found'],
  [410, Rejection, 'input-not-found'],
  [400, Rejection, 'input-not-found'],
  [204, Rejection, 'input-not-found'],
  [206, Rejection, 'input-not-found'],
  [304, Rejection, 'input-not-found'],
  [401, Rejection, 'input-forbidden'],
  [403, Rejection, 'input-forbidden'],
  [408, Retryable, 'network'],
  [429, Retryable, 'network'],
  [500, Retryable, 'network'],
  [503, Retryable, 'network'],
])('takes the answer %i as %o %s', async (status, kind, failureType) => {
  await using site = await startHttpsSite((_request, response) => response.writeHead(status).end());

  const reading = site.read(site.url('/'));

  await expect(reading).rejects.toBeInstanceOf(kind);
  await expect(reading).rejects.toMatchObject({ failureType });
});

test.each<[string, RequestListener]>([
  ['never answers', () => {}],
  [
    'answers one byte at a time',
    (_request, response) => void setInterval(() => response.write('x'), 20).unref(),
  ],
])('gives up on a server that %s', async (_what, answer) => {
  await using site = await startHttpsSite(answer, { timeoutMs: 300 });

  const reading = site.read(site.url('/'));

  await expect(reading).rejects.toMatchObject({ failureType: 'network', consequence: 'retry' });
  await expect(reading).rejects.toThrow('it took too long');
});

test('gives up on a resolver that never answers', async () => {
  await using site = await startHttpsSite(() => {}, { timeoutMs: 50, resolve: () => new Promise(() => {}) });

  await expect(site.read(site.url('/'))).rejects.toThrow('it took too long');
});

test('retries a connection that breaks off', async () => {
  await using site = await startHttpsSite((_request, response) => {
    response.writeHead(200, { 'content-length': 1000 });
    response.write('half', () => response.socket?.destroy());
  });

  await expect(site.read(site.url('/'))).rejects.toMatchObject({
    failureType: 'network',
    consequence: 'retry',
  });
});

test('stops with the reason of the signal', async () => {
  const stop = new AbortController();
  const reason = new Retryable('the deadline', { failureType: 'timeout' });
  await using site = await startHttpsSite(() => stop.abort(reason));

  await expect(site.read(site.url('/'), { signal: stop.signal })).rejects.toBe(reason);
});

test('trusts no unknown certificate', async () => {
  await using site = await startHttpsSite((_request, response) => response.end('x'), { ca: undefined });

  await expect(site.read(site.url('/'))).rejects.toMatchObject({ failureType: 'network' });
  expect(site.server.requests).toHaveLength(0);
});

test('shows no signature of a URL in its errors', async () => {
  await using site = await startHttpsSite((_request, response) => response.writeHead(404).end());

  const error = await site.read(site.url('/a?X-Amz-Signature=CANARY&token=CANARY')).catch(String);

  expect(error).toContain('/a?REDACTED');
  expect(error).not.toContain('CANARY');
});
