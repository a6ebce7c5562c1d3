import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { NetworkRange } from '@panal/protocol';

/** Tells from which address a request came. */
export type ClientAddress = (request: IncomingMessage) => string;

/**
 * The address of whoever is connected; where that is one of the `trusted` proxies, the last address in
 * `X-Forwarded-For` that is none of them. What stands before that anyone could have written.
 */
export function clientAddress(trusted: readonly NetworkRange[]): ClientAddress {
  const proxies = new BlockList();
  for (const { address, prefix, family } of trusted) proxies.addSubnet(address, prefix, family);
  const isProxy = (address: string): boolean => proxies.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

  return (request) => {
    let client = plain(request.socket.remoteAddress ?? '');
    if (trusted.length === 0) return client;
    const hops = String(request.headers['x-forwarded-for'] ?? '').split(',');
    for (let hop = hops.pop(); hop !== undefined && isProxy(client); hop = hops.pop()) {
      const address = plain(hop.trim());
      if (isIP(address) === 0) break;
      client = address;
    }
    return client;
  };
}

/** An IPv4 address that came in IPv6 clothes, as it is. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
