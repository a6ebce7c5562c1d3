import type { Hello, Peer } from '@panal/transport';
import { capabilitiesOf, type Capability, type Support } from '@panal/protocol';
import { censusOf, WorkerTally, type Census } from './census.js';
import type { ConnectedWorker } from './worker-table.js';

/** The connected workers, by their names and by their connections. */
export class Roster {
  readonly tally = new WorkerTally();
  readonly #byPeer = new Map<Peer, ConnectedWorker>();
  readonly #byId = new Map<string, ConnectedWorker>();
  #lastLook = performance.now();

  get size(): number {
    return this.#byId.size;
  }

  all(): Iterable<ConnectedWorker> {
    return this.#byId.values();
  }

  get(id: string): ConnectedWorker | undefined {
    return this.#byId.get(id);
  }

  at(peer: Peer): ConnectedWorker | undefined {
    return this.#byPeer.get(peer);
  }

  /** A worker said hello. It takes the place of the one of its name, if there is one. */
  add(peer: Peer, hello: Hello): ConnectedWorker {
    const worker: ConnectedWorker = {
      id: hello.worker,
      peer,
      hello,
      capabilities: capabilitiesOf(hello),
      specs: new Map(),
      attempts: new Map(),
      draining: false,
      lastHeard: performance.now(),
    };
    const before = this.#byId.get(worker.id);
    this.tally[before === undefined ? 'connected' : 'reconnected']++;
    if (before !== undefined) this.#byPeer.delete(before.peer);
    this.#byPeer.set(peer, worker);
    this.#byId.set(worker.id, worker);
    return worker;
  }

  remove(worker: ConnectedWorker): void {
    this.tally.gone++;
    this.#byPeer.delete(worker.peer);
    if (this.#byId.get(worker.id) === worker) this.#byId.delete(worker.id);
  }

  /** Those that were not heard of for `leaseMs`. To be asked several times within that. */
  silent(leaseMs: number): ConnectedWorker[] {
    const now = performance.now();
    // When this process itself was stopped for a while, the workers' heartbeats still wait to be read.
    const slept = now - this.#lastLook > leaseMs / 2;
    this.#lastLook = now;
    if (slept) for (const worker of this.#byId.values()) worker.lastHeard = now;
    return [...this.#byId.values()].filter(({ lastHeard }) => lastHeard < now - leaseMs);
  }

  census(waiting: number): Census {
    return censusOf(this.#byId.values(), waiting);
  }

  support(capability: Capability): Support {
    if (this.#byId.size === 0) return undefined;
    let able = 0;
    for (const { capabilities } of this.#byId.values()) if (capabilities.has(capability)) able++;
    return able === 0 ? 'none' : able === this.#byId.size ? 'all' : 'some';
  }
}
