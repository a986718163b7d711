/** Which addresses are public, whatever notation hides a private one. */
import { describe, expect, test } from 'vitest';
import { isPublicAddress } from '../../../runtime/storage/address.ts';
import { words } from '../../support/words.ts';

const FORBIDDEN_ADDRESSES = [
  // IPv4: this network, private, shared, loopback, link-local with metadata, protocol, documentation, benchmarks
  ...words(`
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.1.2.3
    127.255.255.254 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1
    192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1
    198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
  `),
  // multicast, reserved, broadcast, inside Azure
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '168.63.129.16',
  // IPv6: unspecified, loopback, unique local with metadata, link-local, site-local, multicast, discard
  ...words(`
    :: ::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 100::1 fe80::1%eth0
    ::1%lo 2606:4700::1%eth0
  `),
  // protocol, benchmarking, ORCHID, documentation, segment routing, not allocated
  ...words(`
    2001::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:db8::1 3fff::1 5f00::1
    4000::1 8000::1 2620:4f:8000::1
  `),
  // IPv4 inside IPv6: mapped, compatible, translated, NAT64 (of forbidden and local kind), 6to4, Teredo, ISATAP
  ...words(`
    ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:a9fe:a9fe ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 ::7f00:1
    ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254
    64:ff9b::c0a8:1 64:ff9b:1::8.8.8.8 64:ff9b:1::7f00:1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:0a00:0001::1
    2002:808:808::1 2001:0:7f00:1:: 2001:0:53aa:64c:0:fffe:80ff:fffe 2606:4700::5efe:127.0.0.1
    2606:4700::200:5efe:10.0.0.1
  `),
  // not addresses, though some would read them as such
  '',
  '127.1',
  '0177.0.0.1',
  '0x7f.0.0.1',
  '2130706433',
  '127.0.0.1 ',
  ' 8.8.8.8',
  ...words('8.8.8.8:443 [::1] localhost 1.2.3 1.2.3.4.5 256.1.1.1 ١٢٧.0.0.1'),
];

const PUBLIC_ADDRESSES = words(`
  1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1 169.253.255.255
  192.167.255.255 223.255.255.255 2606:4700:4700::1111 2a00:1450:4001:800::200e 2001:4860:4860::8888
  64:ff9b::8.8.8.8 64:ff9b::808:808
`);

describe('an address', () => {
  test.each(FORBIDDEN_ADDRESSES)('%j is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(PUBLIC_ADDRESSES)('%j is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});
