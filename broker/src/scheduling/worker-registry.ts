import type { Hello, Peer } from '@panal/transport';
import { capabilitiesOf, type Capability, type Support } from '@panal/protocol';
import type { ConnectedWorker } from './worker-table.js';

/** How many workers, mini-workers and waiting calls there are now. */
export interface WorkerCounts {
  up: number;
  draining: number;
  /** Mini-workers of all of them. */
  slots: number;
  /** Mini-workers that have an attempt. */
  busy: number;
  /** Calls that wait for a mini-worker. */
  waiting: number;
}

function countsOf(workers: Iterable<ConnectedWorker>, waiting: number): WorkerCounts {
  const counts = { up: 0, draining: 0, slots: 0, busy: 0, waiting };
  for (const { draining, hello, attempts } of workers) {
    counts[draining ? 'draining' : 'up']++;
    counts.slots += hello.slots;
    // What it was handed ahead waits there.
    counts.busy += Math.min(attempts.size, hello.slots);
  }
  return counts;
}

/** What workers did so far, since the broker started. */
export class WorkerTally {
  /** A worker that was not connected said hello. */
  connected = 0;
  /** One that was connected said so again: its connection had broken, or it had not heard of the broker. */
  reconnected = 0;
  /** One is connected no more. */
  gone = 0;
  /** Of these, those that said goodbye. */
  left = 0;
  /** One speaks another version of the protocol. */
  refused = 0;
}

/** The worker registry: the connected workers, by their names and by their connections. */
export class WorkerRegistry {
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

  counts(waiting: number): WorkerCounts {
    return countsOf(this.#byId.values(), waiting);
  }

  support(capability: Capability): Support {
    if (this.#byId.size === 0) return undefined;
    let able = 0;
    for (const { capabilities } of this.#byId.values()) if (capabilities.has(capability)) able++;
    return able === 0 ? 'none' : able === this.#byId.size ? 'all' : 'some';
  }
}
