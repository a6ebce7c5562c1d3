import type { Peer, BrokerTransport } from '@panal/transport';

/** How long an acknowledgement may wait for others, in ms. */
const ACK_MS = 50;

/**
 * Tells workers which outcomes they may forget. Nobody waits for that, so that it goes out for many calls at once: a
 * message for each would double what the broker sends.
 */
export class Acknowledgements {
  readonly #transport: BrokerTransport;
  #leases = new Map<Peer, string[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(transport: BrokerTransport) {
    this.#transport = transport;
  }

  add(peer: Peer, lease: string): void {
    const leases = this.#leases.get(peer);
    if (leases === undefined) this.#leases.set(peer, [lease]);
    else leases.push(lease);
    this.#timer ??= setTimeout(() => this.flush(), ACK_MS);
  }

  /** Says now what waits to be said. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const said = this.#leases;
    this.#leases = new Map();
    for (const [peer, leases] of said) this.#transport.send(peer, { type: 'ack', leases });
  }
}
