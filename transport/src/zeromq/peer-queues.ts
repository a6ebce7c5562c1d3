import { MAX_BATCH, type Envelope } from '../codec.js';
import type { BrokerMessage } from '../messages.js';
import type { Peer } from '../transport.js';

/** Most messages that wait for one peer. A peer so far behind is as good as lost; its heartbeats will tell. */
const MAX_WAITING = 100_000;

/** Messages that wait to be sent, by peer, each peer in its turn. */
export class PeerQueues {
  readonly #queues = new Map<Peer, Envelope<BrokerMessage>[]>();

  get empty(): boolean {
    return this.#queues.size === 0;
  }

  push(peer: Peer, envelope: Envelope<BrokerMessage>): void {
    const queue = this.#queues.get(peer);
    if (queue === undefined) this.#queues.set(peer, [envelope]);
    // Who floods the broker without a hello, and does not read, is not answered as often.
    else if (envelope.message.type !== 'who' && queue.length < MAX_WAITING) queue.push(envelope);
  }

  /** The next peer and what goes to it in one ZeroMQ message. */
  shift(): [Peer, Envelope<BrokerMessage>[]] | undefined {
    for (const [peer, queue] of this.#queues) {
      this.#queues.delete(peer);
      if (queue.length <= MAX_BATCH) return [peer, queue];
      this.#queues.set(peer, queue.slice(MAX_BATCH));
      return [peer, queue.slice(0, MAX_BATCH)];
    }
    return undefined;
  }

  /** Puts back what could not be sent, in front of what came since. */
  unshift(peer: Peer, batch: Envelope<BrokerMessage>[]): void {
    this.#queues.set(peer, [...batch, ...(this.#queues.get(peer) ?? [])]);
  }

  drop(peer: Peer): void {
    this.#queues.delete(peer);
  }
}
