import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { NetworkRange } from '@panal/protocol';
import { AddressSet, exactly, isLinkLocal, isOwn, isPublic } from './addresses.js';

/** Ports of public hosts that may be reached. */
const PUBLIC_PORTS = new Set([80, 443]);

/** A host with a port, as a client names it. */
export interface Target {
  host: string;
  port: number;
}

/** A target that may not be reached. Its message tells a user why. */
export class Refused extends Error {}

export interface EgressRules {
  /** Host names that may be reached, `*.` before a domain for every name below it; empty: all. */
  hosts: readonly string[];
  /** Networks that are not public, and that may be reached all the same. */
  networks: readonly NetworkRange[];
  /** Host names or addresses of the cluster's own machines. */
  cluster: readonly string[];
}

/**
 * What code that is not the operator's may reach from a worker: public hosts at the ports of HTTP and HTTPS, and what the
 * operator adds. This machine, the broker's and anything that is not public has to be added; this machine and the
 * broker's by their very address. The link-local range, with the metadata service of clouds, cannot be added.
 */
export class EgressPolicy {
  readonly #rules: EgressRules;
  readonly #networks: AddressSet;
  /** Networks of one address each. */
  readonly #addresses: AddressSet;
  /** What was last found for each of the cluster's hosts. */
  readonly #found = new Map<string, LookupAddress[]>();

  constructor(rules: EgressRules) {
    this.#rules = rules;
    this.#networks = AddressSet.of(rules.networks);
    this.#addresses = AddressSet.of(
      rules.networks.filter(({ prefix, family }) => prefix === (family === 'ipv6' ? 128 : 32)),
    );
  }

  /**
   * The addresses of `target`, all of which may be connected to. Connect to these, and do not look the name up again:
   * it could have other ones by then.
   * @throws Refused; and what the lookup throws
   */
  async addressesOf({ host, port }: Target): Promise<string[]> {
    this.checkName(host);
    const found = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host }];
    const addresses = found.map(({ address }) => address);
    const cluster = await this.#cluster();
    for (const address of addresses) this.#check(host, address, port, cluster);
    return addresses;
  }

  /** @throws Refused where the operator allows other hosts only */
  checkName(host: string): void {
    const { hosts } = this.#rules;
    const name = host.toLowerCase().replace(/\.$/, '');
    if (hosts.length === 0) return;
    const allowed = hosts.some((each) =>
      each.startsWith('*.') ? name.endsWith(each.slice(1)) : name === each,
    );
    if (!allowed) throw new Refused(`${host} is not among the hosts that dependencies may reach`);
  }

  #check(host: string, address: string, port: number, cluster: AddressSet): void {
    const named = host === address ? host : `${host} (${address})`;
    if (isLinkLocal(address)) throw new Refused(`${named} is a link-local address`);
    if (this.#addresses.has(address)) return;
    if (isOwn(address) || cluster.has(address)) throw new Refused(`${named} belongs to the cluster`);
    if (this.#networks.has(address)) return;
    if (!isPublic(address)) throw new Refused(`${named} is not a public address`);
    if (!PUBLIC_PORTS.has(port)) throw new Refused(`${named} may be reached at ports 80 and 443 only`);
  }

  async #cluster(): Promise<AddressSet> {
    const found = await Promise.all(this.#rules.cluster.map((host) => this.#lookup(host)));
    return new AddressSet(found.flat().map(({ address }) => exactly(address)));
  }

  /**
   * The addresses of one of the cluster's hosts; its last ones if its name is not found now. A host that was never found
   * counts for nothing: dependencies do not wait for a name that may be wrong.
   */
  async #lookup(host: string): Promise<LookupAddress[]> {
    try {
      const found = await lookup(host, { all: true });
      this.#found.set(host, found);
      return found;
    } catch {
      return this.#found.get(host) ?? [];
    }
  }
}
