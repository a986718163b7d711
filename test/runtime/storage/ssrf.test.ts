/** No `https` input reaches what is not public: every way to write, resolve or redirect to it is refused. */
import diagnostics from 'node:diagnostics_channel';
import { describe, expect, test } from 'vitest';
import { Rejection } from '../../../runtime/errors.ts';
import { httpsReader } from '../../../runtime/storage/https.ts';
import { words } from '../../support/words.ts';

/** Refused although every host is allowed. */
const FORBIDDEN_URLS = [
  // an address in every notation that the URL parser knows
  ...words(`
    https://127.0.0.1/ https://127.1/ https://127.0.1/ https://0177.0.0.1/ https://0x7f.0.0.1/
    https://0x7f000001/ https://2130706433/ https://017700000001/ https://0/ https://0.0.0.0/
    https://127.0.0.1./ https://１２７.０.０.１/ https://①②⑦.⓪.⓪.①/ https://127。0。0。1/ https://%31%32%37.0.0.1/
    https://169.254.169.254/latest/meta-data/ https://0xa9fea9fe/ https://2852039166/
    https://0251.0376.0251.0376/ https://169.254.43518/ https://10.0.0.1/ https://10.1/
    https://192.168.1.1/ https://172.16.0.1/ https://100.64.0.1/ https://[::1]/ https://[::]/
    https://[0:0:0:0:0:0:0:1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/
    https://[0:0:0:0:0:ffff:169.254.169.254]/ https://[64:ff9b::7f00:1]/ https://[2002:7f00:1::]/
    https://[fd00:ec2::254]/ https://[fe80::1]/ https://[::127.0.0.1]/
  `),
  // names that resolve to one
  ...words(`
    https://localhost/ https://LOCALHOST/ https://localhost./ https://metadata.internal/
    https://rebind.example/ https://mixed.example/ https://mixed6.example/ https://mapped.example/
    https://nat64.example/ https://ⓛocalhost/
  `),
  // other ports than 443
  ...words(`
    https://ok.example:80/ https://ok.example:8443/ https://ok.example:22/ https://ok.example:6379/
    https://ok.example:15672/ https://ok.example:0/ https://ok.example:65536/ https://ok.example:+443/
  `),
  // other schemes
  ...words(`
    http://ok.example/ HTTP://ok.example/ ftp://ok.example/ file:///etc/passwd
    file://ok.example/etc/passwd data:image/png;base64,AAAA gopher://127.0.0.1:6379/_INFO
    dict://127.0.0.1:11211/ ws://ok.example/ blob:https://ok.example/x javascript:1
    view-source:https://ok.example/ jar:https://ok.example/!x //ok.example/
  `),
  // users and passwords, and what they are used for: to hide the host
  ...words(`
    https://user:secret@ok.example/ https://user@ok.example/ https://ok.example@127.0.0.1/
    https://:@127.0.0.1/ https://ok.example:secret@127.0.0.1/ https://ok.example%40127.0.0.1/
    https://127.0.0.1#@ok.example/ https://127.0.0.1?@ok.example/
  `),
  'https://ok.example#@127.0.0.1:x@x/ y',
  // what the URL parser drops or turns
  'https://127.0.0.1\\@ok.example/',
  'https:\\\\127.0.0.1/',
  'https:/\\127.0.0.1/',
  'https://\t127.0.0.1/',
  ' https://127.0.0.1/',
  'https://ok.example/\r\nX-Injected: 1',
  'https://ok.example/\0',
  'https://ok.example/a b',
  'ht\ntps://127.0.0.1/',
  // more notations of what is inside
  ...words(`
    https://127.127.127.127/ https://127.0.0.0x1/ https://0x7F.1/ https://00000177.1/
    https://168.63.129.16/ https://100.100.100.200/ https://192.0.0.192/ https://198.18.0.1/
    https://224.0.0.1/ https://255.255.255.255/ https://[fec0::1]/ https://[ff02::1]/
    https://[2001:0:7f00:1::]/ https://[::ffff:0:7f00:1]/ https://[64:ff9b:1::a00:1]/
    https://127.0.0.1:443/ https://[::1]:443/ https://localhost:443/
  `),
  // not URLs
  '',
  ...words(`
    https:// https:/// https://[::1 https://[::1%25lo]/ https://ok.example:port/ https://%00/ https://./
    https://../ https:ok.example:80 https://256.256.256.256/ https://ok..example\\/
  `),
];

const DNS: Record<string, string[]> = {
  localhost: ['127.0.0.1', '::1'],
  'metadata.internal': ['169.254.169.254'],
  'rebind.example': ['10.0.0.1'],
  'mixed.example': ['93.184.216.34', '192.168.0.1'],
  'mixed6.example': ['2606:4700:4700::1111', 'fd00::1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'nat64.example': ['64:ff9b::a00:1'],
  'ok.example': ['93.184.216.34'],
};

test('has more than a hundred URLs', () => {
  expect(new Set(FORBIDDEN_URLS).size).toBeGreaterThan(100);
});

describe('a URL', () => {
  test.each(FORBIDDEN_URLS)('%j is refused before anything is connected to', async (url) => {
    const read = httpsReader({
      enabled: true,
      hosts: ['*'],
      // Names that are not in the table do not resolve.
      resolve: async (host) => DNS[host] ?? [],
    });
    let sockets = 0;
    const count = () => sockets++;
    diagnostics.subscribe('net.client.socket', count);
    try {
      const error = await read(url).catch((thrown: unknown) => thrown);

      if (url === 'https://./' || url === 'https://../')
        expect(error).toMatchObject({ failureType: 'network' });
      else {
        expect(error).toBeInstanceOf(Rejection);
        expect(error).toMatchObject({ failureType: 'input-forbidden' });
      }
      expect(String(error)).not.toContain('secret');
      expect(sockets).toBe(0);
    } finally {
      diagnostics.unsubscribe('net.client.socket', count);
    }
  });

  test.each([
    ['images.example', 'https://evil.example/'],
    ['images.example', 'https://images.example.evil.example/'],
    ['images.example', 'https://sub.images.example/'],
    ['images.example', 'https://evilimages.example/'],
    ['images.example', 'https://images.example:8443/'],
    ['*.images.example', 'https://images.example/'],
    ['*.images.example', 'https://evilimages.example/'],
    ['*.images.example', 'https://x.images.example.evil/'],
    ['images.example:8443', 'https://images.example/'],
    ['images.example:8443', 'https://images.example:443/'],
    ['images.example', 'https://ímages.example/'],
  ])('with hosts %j, %j is refused', async (host, url) => {
    const read = httpsReader({ enabled: true, hosts: [host], resolve: async () => ['93.184.216.34'] });

    await expect(read(url)).rejects.toMatchObject({ failureType: 'input-forbidden', consequence: 'reject' });
  });

  test('is refused when no host is allowed', async () => {
    await expect(httpsReader({ enabled: true, hosts: [] })('https://ok.example/')).rejects.toBeInstanceOf(
      Rejection,
    );
  });
});
