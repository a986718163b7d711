/** Which hosts INPUT_HTTPS_HOSTS allows. */
import { expect, test } from 'vitest';
import { UserError } from '../../../runtime/errors.ts';
import { httpsReader } from '../../../runtime/storage/https.ts';
import { words } from '../../support/words.ts';
import { startHttpsSite } from './https-site.ts';

test.each([
  'http://images.example',
  'images.example/path',
  '*.*.example',
  'im ages.example',
  '',
  'user@images.example',
  '*.',
  'images.example:http',
])('refuses the host rule %j', (host) => {
  expect(() => httpsReader({ enabled: true, hosts: [host] })).toThrow(UserError);
});

test('allows the subdomains of a wildcard, a host in other letters and an address by itself', async () => {
  await using site = await startHttpsSite((_request, response) => response.end('x'));
  const { port, ca } = site.server;
  const hosts = [`*.example:${port}`, `BÜCHER.test:${port}`, `127.0.0.1:${port}`];
  const read = httpsReader({
    enabled: true,
    hosts,
    ca,
    resolve: async () => ['127.0.0.1'],
    isAllowedAddress: () => true,
  });

  for (const host of words(
    'images.example IMAGES.example images.example. bücher.test xn--bcher-kva.test 127.0.0.1',
  )) {
    expect(String(await read(`https://${host}:${port}/`))).toBe('x');
  }
});
