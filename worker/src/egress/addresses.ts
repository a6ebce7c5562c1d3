import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { NetworkRange } from '@panal/protocol';

type Family = NetworkRange['family'];
type Range = readonly [address: string, prefix: number, family: Family];

/** Where a machine, and what manages it, is told about itself. */
const LINK_LOCAL: readonly Range[] = [
  ['169.254.0.0', 16, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
  // What some clouds have in the place of 169.254.169.254.
  ['fd00:ec2::', 32, 'ipv6'],
  ['100.100.100.200', 32, 'ipv4'],
  ['168.63.129.16', 32, 'ipv4'],
  ['fd20:ce::254', 128, 'ipv6'],
];

/**
 * Addresses that are no host's on the Internet (IANA's special-purpose registries, RFC 6890), without those that
 * are for documentation, which lead nowhere.
 */
const NOT_PUBLIC: readonly Range[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'],
  // Addresses that stand for others, of IPv4: translated, tunnelled.
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

/** A set of addresses. An IPv4 address within IPv6 (`::ffff:10.0.0.1`) counts as what it is. */
export class AddressSet {
  readonly #list = new BlockList();

  constructor(ranges: Iterable<Range>) {
    for (const [address, prefix, family] of ranges) this.#list.addSubnet(address, prefix, family);
  }

  static of(ranges: readonly NetworkRange[]): AddressSet {
    return new AddressSet(ranges.map(({ address, prefix, family }) => [address, prefix, family]));
  }

  has(address: string): boolean {
    return this.#list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}

const linkLocal = new AddressSet(LINK_LOCAL);
const notPublic = new AddressSet(NOT_PUBLIC);
const loopback = new AddressSet([
  ['127.0.0.0', 8, 'ipv4'],
  ['0.0.0.0', 8, 'ipv4'],
  ['::', 127, 'ipv6'],
]);

/** Of the link-local range, or where a cloud hands out the credentials of its machines. */
export const isLinkLocal = (address: string): boolean => linkLocal.has(address);

/** Of a host on the Internet, as far as an address tells. */
export const isPublic = (address: string): boolean => !notPublic.has(address) && !linkLocal.has(address);

/** Of this very machine, at this moment. */
export function isOwn(address: string): boolean {
  if (loopback.has(address)) return true;
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return new AddressSet(own.map((each) => exactly(each.address))).has(address);
}

/** The range of one address; its zone, if any, left out. */
export function exactly(address: string): Range {
  const [bare = ''] = address.split('%');
  return isIP(bare) === 6 ? [bare, 128, 'ipv6'] : [bare, 32, 'ipv4'];
}
