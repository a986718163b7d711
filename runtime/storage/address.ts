/** Which IP addresses an `https` input may come from: public ones only, however a private one is written. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Global unicast, RFC 4291: addresses outside it are not routed, or carry an IPv4 address. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');
/** NAT64 (RFC 6052), with which an IPv6-only cluster reaches IPv4: as public as the address that it carries. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** Azure's metadata and DNS: private, although the range is public. */
const INSIDE_THE_CLOUD = ['168.63.129.16'];

/** Whether an address is public: the same machine for everybody on the Internet. */
export function isPublicAddress(address: string): boolean {
  // The strict check first: ipaddr.js also reads octal, hexadecimal and shortened forms.
  if (isIP(address) === 0 || address.includes('%')) return false;
  const parsed = ipaddr.parse(address);
  return parsed instanceof ipaddr.IPv6 ? isPublicV6(parsed) : isPublicV4(parsed);
}

function isPublicV4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast' && !INSIDE_THE_CLOUD.includes(address.toString());
}

function isPublicV6(address: ipaddr.IPv6): boolean {
  if (address.match(NAT64)) return isPublicV4(new ipaddr.IPv4(address.toByteArray().slice(12)));
  return address.match(GLOBAL_UNICAST) && address.range() === 'unicast' && !isIsatap(address);
}

/** ISATAP (RFC 5214) ends in 5efe and an IPv4 address. */
function isIsatap(address: ipaddr.IPv6): boolean {
  const [fifth, sixth] = address.parts.slice(4);
  return sixth === 0x5efe && (fifth === 0 || fifth === 0x0200);
}
